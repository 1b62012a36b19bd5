"""Child processes that cannot outlive their parent: own process group, own log file, ended by pid only."""

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
_POLL_S = 0.05
_LOG_TAIL_LINES = 20


class ChildFailed(RuntimeError):
    """A child exited before it was ready, or was not ready in time; the message ends with the last log lines."""


@dataclass(frozen=True, kw_only=True)
class Command:
    """What a child is started with.

    `env` is added to the parent's environment. `user` is (uid, gid) to drop to, for a parent that is root.
    `death_signal` reaches the child when the *thread* that started it ends (a rule of Linux): start children
    from the main thread.
    """

    name: str
    argv: Sequence[str]
    log_path: Path
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None
    user: tuple[int, int] | None = None
    ready_url: str | None = None
    ready_timeout_s: float = 30.0
    stop_signal: signal.Signals = signal.SIGTERM
    death_signal: signal.Signals = signal.SIGTERM
    grace_s: float = 20.0


def free_port() -> int:
    """A loopback TCP port that was free a moment ago; another process may still take it first."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def accepts_connections(*, port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def descendants(*, pid: int) -> list[int]:
    """Children and their children, nearest first; empty where there is no /proc."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, IndexError, ValueError):
            parent = int(entry.read_text(errors="replace").rpartition(")")[2].split()[1])
            parents.setdefault(parent, []).append(int(entry.parent.name))
    found = list(parents.get(pid, []))
    for child in found:
        found.extend(parents.get(child, []))
    return found


def _die_with_parent(death_signal: int, parent: int) -> Callable[[], None]:
    def prepare() -> None:
        if _LIBC is not None:
            _LIBC.prctl(_PR_SET_PDEATHSIG, death_signal)
        if os.getppid() != parent:  # the parent died between fork and prctl: nobody would ever signal us
            os._exit(1)

    return prepare


class Child:
    """One process that can be started, stopped, killed and restarted any number of times with the same command."""

    def __init__(self, command: Command) -> None:
        self.command = command
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        if self._process is None:
            raise ChildFailed(f"{self.command.name} was never started")
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def returncode(self) -> int | None:
        return self._process.poll() if self._process is not None else None

    def start(self) -> None:
        """Start without waiting for readiness; does nothing if it already runs."""
        if self.alive:
            return
        command = self.command
        command.log_path.parent.mkdir(parents=True, exist_ok=True)
        uid, gid = command.user or (None, None)
        with command.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                list(command.argv),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=command.cwd,
                env={**os.environ, **command.env},
                process_group=0,
                user=uid,
                group=gid,
                extra_groups=[] if uid is not None else None,
                # Runs after the change of user, which would otherwise clear the death signal.
                preexec_fn=_die_with_parent(command.death_signal, os.getpid()),  # noqa: PLW1509
            )

    def wait_until(self, *, ready: Callable[[], bool], timeout_s: float) -> None:
        """Raises `ChildFailed` if the process ends first or the time is over."""
        deadline = time.monotonic() + timeout_s
        while not ready():
            if not self.alive:
                raise ChildFailed(
                    f"{self.command.name} ended with {self.returncode} before it was ready\n{self.tail()}"
                )
            if time.monotonic() > deadline:
                raise ChildFailed(f"{self.command.name} was not ready after {timeout_s:.0f} s\n{self.tail()}")
            time.sleep(_POLL_S)

    def wait_ready(self) -> None:
        """Wait for a 2xx from `ready_url`; without a URL only for the process to exist."""
        url = self.command.ready_url
        if url is not None:
            self.wait_until(ready=lambda: _answers(url), timeout_s=self.command.ready_timeout_s)

    def stop(self, *, asked_by: signal.Signals | None = None) -> int | None:
        """Ask politely, wait `grace_s`, then kill; the exit status, negative if a signal ended it.

        `asked_by` instead of the command's `stop_signal`.
        """
        if self._process is None:
            return None
        if self.alive:
            self._signal_group(signal.SIGCONT)  # a paused process would sleep through the request
            os.kill(self._process.pid, asked_by or self.command.stop_signal)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(self.command.grace_s)
        self._signal_group(signal.SIGKILL)
        return self._process.wait()

    def kill(self) -> None:
        """kill -9 of the process and everything below it, and reap it."""
        if self._process is None:
            return
        below = descendants(pid=self._process.pid) if self.alive else []
        self._signal_group(signal.SIGKILL)
        for pid in below:  # those which made a session of their own, as Postgres' backends do
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait()

    def pause(self) -> None:
        self._signal_group(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal_group(signal.SIGCONT)

    def restart(self) -> None:
        self.stop()
        self.start()
        self.wait_ready()

    def tail(self) -> str:
        try:
            lines = self.command.log_path.read_text(errors="replace").splitlines()
        except OSError as error:
            return f"(no log: {error})"
        return "\n".join([f"--- {self.command.log_path}", *lines[-_LOG_TAIL_LINES:]])

    def _signal_group(self, number: signal.Signals) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, number)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return 200 <= int(answer.status) < 300
    except (urllib.error.URLError, OSError):
        return False


class Supervisor:
    """A set of named children; leaving the `with` block stops them in reverse order of their start."""

    def __init__(self) -> None:
        self._children: dict[str, Child] = {}

    def __getitem__(self, name: str) -> Child:
        return self._children[name]

    def __iter__(self) -> Iterator[Child]:
        return iter(self._children.values())

    def add(self, command: Command) -> Child:
        if command.name in self._children:
            raise ValueError(f"two children are called {command.name!r}: give each its own name")
        child = self._children[command.name] = Child(command)
        return child

    def start_all(self) -> None:
        """Start all at once, then wait for each; if one fails the others are stopped again."""
        try:
            for child in self:
                child.start()
            for child in self:
                child.wait_ready()
        except BaseException:
            self.stop_all()
            raise

    def stop_all(self) -> None:
        for child in reversed(list(self)):
            child.stop()

    def ended(self) -> list[Child]:
        """Children that were started and run no more, for a watcher to report or restart."""
        return [child for child in self if child.returncode is not None]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop_all()
