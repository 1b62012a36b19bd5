"""One Apache Kafka 4 node in KRaft mode from Maven jars, run directly as a child process. The log persists."""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import uuid
from base64 import urlsafe_b64encode
from pathlib import Path

from deploy.local.processes import Child, ChildFailed, Command, accepts_connections, free_port

KAFKA_FOLDER = Path(__file__).parent.parent / "kafka"
MINIMUM_JAVA = 17
_START_TIMEOUT_S = 60.0
_FETCH_TIMEOUT_S = 600.0
_JVM = ["-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.awt.headless=true"]


class KafkaUnavailable(RuntimeError):
    """Kafka cannot be set up here; the message says what to do."""


def java_version() -> int | None:
    """The feature release (17, 21, ...) of the `java` on the path."""
    if shutil.which("java") is None:
        return None
    said = subprocess.run(["java", "-version"], capture_output=True, text=True, check=False).stderr
    found = re.search(r'version "(\d+)', said)
    return int(found[1]) if found else None


def jars_present(*, lib: Path) -> bool:
    """Whether `lib` holds the jars of the present `pom.xml`."""
    stamp = lib / "pom.sha256"
    return stamp.exists() and stamp.read_text() == _pom_digest()


def fetch_jars(*, lib: Path) -> None:
    """Fill `lib` by Maven unless it is filled already; raises `KafkaUnavailable` with Maven's own words."""
    if jars_present(lib=lib):
        return
    lib.parent.mkdir(parents=True, exist_ok=True)
    with lib.with_name(lib.name + ".lock").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        if not jars_present(lib=lib):  # nobody else has filled it meanwhile
            _fetch(lib)


def _fetch(lib: Path) -> None:
    fresh = lib.with_name(lib.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    argv = ["mvn", "-q", "-B", "-f", str(KAFKA_FOLDER / "pom.xml"), "dependency:copy-dependencies"]
    argv += ["-DincludeScope=runtime", f"-DoutputDirectory={fresh.absolute()}"]
    try:
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=_FETCH_TIMEOUT_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise KafkaUnavailable(f"Maven did not run: {error}; install Maven, or set BROKER=tansu") from error
    if done.returncode or not list(fresh.glob("kafka_2.13-*.jar")):
        words = "\n".join((done.stdout + done.stderr).strip().splitlines()[-5:])
        raise KafkaUnavailable(f"Maven could not fetch Kafka; check its network, or set BROKER=tansu\n{words}")
    (fresh / "pom.sha256").write_text(_pom_digest())
    shutil.rmtree(lib, ignore_errors=True)
    fresh.rename(lib)


def _pom_digest() -> str:
    return hashlib.sha256((KAFKA_FOLDER / "pom.xml").read_bytes()).hexdigest()


class EmbeddedKafka:
    """A broker and controller in one process, on loopback only.

    `folder` holds `server.properties`, `data` and `kafka.log`. The ports stay the same over `kill` and `start`,
    so clients find the node again. One replica and no fsync per write: this survives the death of the process,
    not of the machine.
    """

    def __init__(self, *, folder: Path, lib: Path, port: int = 0, controller_port: int = 0) -> None:
        self.folder = folder.absolute()
        self._lib = lib.absolute()
        self.port = port or free_port()
        self._controller_port = controller_port or free_port()
        self._child: Child | None = None

    @property
    def bootstrap_servers(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        if self._child is None:
            raise KafkaUnavailable("Kafka was never started")
        return self._child.pid

    def start(self) -> str:
        """Fetch the jars and format the storage if need be, start, wait until the broker takes part; its address."""
        fetch_jars(lib=self._lib)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._properties.write_text(self._settings())
        if not (self.folder / "data" / "meta.properties").exists():
            self._format()
        log_path = self.folder / "kafka.log"
        self._child = Child(
            Command(
                name="kafka",
                argv=[*self._java(), "kafka.Kafka", str(self._properties)],
                log_path=log_path,
                cwd=self.folder,
                grace_s=15.0,
            )
        )
        read_from = log_path.stat().st_size if log_path.exists() else 0
        self._child.start()
        try:
            self._child.wait_until(ready=lambda: self._ready(log_path, read_from), timeout_s=_START_TIMEOUT_S)
        except ChildFailed:
            self._child.kill()
            raise
        return self.bootstrap_servers

    def stop(self) -> None:
        if self._child is not None:
            self._child.stop()

    def kill(self) -> None:
        """kill -9; the next `start` recovers the log."""
        if self._child is not None:
            self._child.kill()

    def pause(self) -> None:
        if self._child is not None:
            self._child.pause()

    def resume(self) -> None:
        if self._child is not None:
            self._child.resume()

    def _ready(self, log_path: Path, read_from: int) -> bool:
        # The port opens before the broker is unfenced; only its own sentence says that it serves.
        with log_path.open("rb") as log:
            log.seek(read_from)
            return b"Kafka Server started" in log.read() and accepts_connections(port=self.port)

    def _java(self) -> list[str]:
        logging = f"-Dlog4j2.configurationFile={KAFKA_FOLDER / 'log4j2.properties'}"
        return ["java", *_JVM, logging, "-cp", f"{self._lib}{os.sep}*"]

    def _format(self) -> None:
        cluster = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        argv = [*self._java(), "kafka.tools.StorageTool", "format", "--config", str(self._properties)]
        argv += ["--ignore-formatted", f"--cluster-id={cluster}"]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        if done.returncode:
            raise KafkaUnavailable(f"formatting {self.folder / 'data'} failed: {(done.stdout + done.stderr).strip()}")

    @property
    def _properties(self) -> Path:
        return self.folder / "server.properties"

    def _settings(self) -> str:
        settings = {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.voters": f"1@127.0.0.1:{self._controller_port}",
            "listeners": f"PLAINTEXT://127.0.0.1:{self.port},CONTROLLER://127.0.0.1:{self._controller_port}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{self.port}",
            "controller.listener.names": "CONTROLLER",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "log.dirs": str(self.folder / "data"),
            "auto.create.topics.enable": "false",
            "num.partitions": "6",
            "message.max.bytes": str(1024 * 1024),
            "offsets.topic.num.partitions": "4",
            "offsets.topic.replication.factor": "1",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "group.initial.rebalance.delay.ms": "0",
            "group.min.session.timeout.ms": "1000",
            # The controller refuses a broker that comes back until the session of its dead self is over (default 9 s).
            "broker.session.timeout.ms": "2000",
            "broker.heartbeat.interval.ms": "500",
            "num.recovery.threads.per.data.dir": "2",
            "log.cleaner.backoff.ms": "2000",
        }
        return "".join(f"{name}={value}\n" for name, value in settings.items())
