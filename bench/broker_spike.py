"""Can aiokafka be relied on against Apache Kafka 4? `python -m bench.broker_spike [--broker kafka|tansu]`.

Members of a group and a producer run as processes (`bench.broker_members`). Faults come from outside, and only their
files and the log's end are believed. Prints one JSON object; the exit status is 1 if a record was lost, came out of
its key's order or did not drain, or if a member died that nobody killed.
"""

import argparse
import asyncio
import contextlib
import itertools
import json
import logging
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from bench.broker_members import KEYS, Appender, consume, inversions, produce, settings_of
from deploy.local.broker import Broker, Choice, start_broker
from deploy.local.processes import Child, Command, Supervisor
from services.kernel.broker import TopicSpec, ensure_topics
from services.kernel.settings import KernelSettings

DRAIN_S = 60.0


def _settings(broker: Broker) -> KernelSettings:
    return settings_of(kind=broker.kind, bootstrap=broker.bootstrap_servers, name="checker")


@dataclass
class Scene:
    """One topic, one group, one producer; what happened is read from the two files."""

    broker: Broker
    folder: Path
    topic: str
    supervisor: Supervisor

    def spawn(self, role: str, name: str) -> Child:
        argv = [sys.executable, "-m", "bench.broker_spike", "--role", role, "--name", name, "--topic", self.topic]
        argv += ["--bootstrap", self.broker.bootstrap_servers, "--broker", self.broker.kind]
        argv += ["--out", str(self.folder / f"{self.topic}.{role}")]
        log = self.folder / f"{self.topic}-{name}.log"
        child = self.supervisor.add(Command(name=f"{self.topic}-{name}", argv=argv, log_path=log))
        child.start()
        return child

    def lines(self, role: str, word: str) -> list[list[str]]:
        path = self.folder / f"{self.topic}.{role}"
        text = path.read_text() if path.exists() else ""
        return [line.split()[1:] for line in text.splitlines() if line.startswith(word + " ")]

    def wait_for(self, what: Callable[[], bool], timeout_s: float = 30.0) -> float | None:
        """Seconds until `what` holds; None if it never did."""
        begun = time.monotonic()
        while time.monotonic() - begun < timeout_s:
            if what():
                return round(time.monotonic() - begun, 2)
            time.sleep(0.05)
        return None

    def seen_after(self, moment: float, by: str | None = None) -> bool:
        tail = self.lines("member", "seen")[-400:]
        return any(float(row[3]) > moment and by in {None, row[0]} for row in tail)

    def acked_after(self, moment: float) -> bool:
        return any(float(row[1]) > moment for row in self.lines("producer", "acked")[-1:])

    def verdict(self, producer: Child) -> dict[str, Any]:
        died = [child.command.name for child in self.supervisor.ended()]
        producer.stop()
        acked = {int(row[0]) for row in self.lines("producer", "acked")}
        drain = self.wait_for(lambda: acked <= {int(r[2]) for r in self.lines("member", "seen")}, DRAIN_S)
        time.sleep(1)
        seen = [(int(row[1]), int(row[2])) for row in self.lines("member", "seen")]
        times = [float(row[3]) for row in self.lines("member", "seen")]
        distinct = {number for _, number in seen}
        return {
            "acked": len(acked),
            "died": died,
            "lost": len(acked - distinct),
            "copies_in_log": asyncio.run(self._log_size()) - len(acked | distinct),
            "delivered_again": len(seen) - len(distinct),
            "order_broken": inversions(seen),
            "longest_gap_s": round(max((b - a for a, b in itertools.pairwise(times)), default=0.0), 2),
            "drain_s": drain,
            "send_retries": len(self.lines("producer", "retry")),
            "producers_abandoned": producer.command.log_path.read_text().count("producer abandoned"),
            "consumers_rebuilt": dict(Counter(row[1] for row in self.lines("member", "rebuilt"))),
        }

    async def _log_size(self) -> int:
        """By the end offsets, so wrong where `end_offset` of the result says that the broker gets them wrong."""
        consumer = AIOKafkaConsumer(bootstrap_servers=self.broker.bootstrap_servers)
        await consumer.start()
        try:
            partitions = [TopicPartition(self.topic, p) for p in range(TopicSpec(name=self.topic).partitions)]
            return int(sum((await consumer.end_offsets(partitions)).values()))
        finally:
            await consumer.stop()


@contextlib.contextmanager
def scene(broker: Broker, folder: Path, topic: str, members: int) -> Iterator[tuple[Scene, Child, list[Child]]]:
    with Supervisor() as supervisor:
        it = Scene(broker=broker, folder=folder, topic=topic, supervisor=supervisor)
        asyncio.run(ensure_topics([TopicSpec(name=topic)], settings=_settings(broker)))
        group = [it.spawn("member", f"m{n}") for n in range(members)]
        if it.wait_for(lambda: len(it.lines("member", "started")) >= members) is None:
            raise RuntimeError(f"members of {topic} did not start:\n{group[0].tail()}")
        producer = it.spawn("producer", "p")
        it.wait_for(lambda: it.seen_after(0.0))
        yield it, producer, group


def broker_dies(broker: Broker, folder: Path) -> dict[str, Any]:
    assert broker.server is not None
    recovery: list[dict[str, Any]] = []
    with scene(broker, folder, "dies", 2) as (it, producer, group):
        for fault in (
            "kill",
            "kill for longer than a send may take",
            "stop",
            "kill, and a member starts meanwhile",
            "pause",
        ):
            time.sleep(2)
            if fault == "pause":
                broker.server.pause()
                time.sleep(6)
                broker.server.resume()
            else:
                (broker.server.stop if fault == "stop" else broker.server.kill)()
                if "member" in fault:
                    group[0].kill()
                    group[0].start()
                time.sleep(11 if "longer" in fault else 2)
                broker.server.start()
            up = time.monotonic()
            consumed = it.wait_for(lambda up=up: it.seen_after(up))  # type: ignore[misc]
            acked = it.wait_for(lambda up=up: it.acked_after(up))  # type: ignore[misc]
            recovery.append({"fault": fault, "consumed_after_s": consumed, "and_acked_after_s": acked})
        return {**it.verdict(producer), "after_each": recovery}


def two_members(broker: Broker, folder: Path) -> dict[str, Any]:
    def share(it: Scene, last: int = 1200) -> dict[str, int]:
        keys = {(row[0], row[1]) for row in it.lines("member", "seen")[-last:]}
        return dict(Counter(name for name, _ in sorted(keys)))

    with scene(broker, folder, "two", 2) as (it, producer, group):
        time.sleep(3)
        before = share(it)
        group[1].kill()
        died = time.monotonic()
        # The survivor owns all keys once it has seen every one of them after the death.
        takeover = it.wait_for(lambda: len({r[1] for r in it.lines("member", "seen") if float(r[3]) > died}) == KEYS)
        group[1].start()
        back = it.wait_for(lambda: it.seen_after(died, by="m1"))
        time.sleep(3)
        extra = {"keys_of_each": before, "takeover_after_kill_s": takeover, "back_after_s": back}
        return {**it.verdict(producer), **extra, "keys_of_each_at_the_end": share(it)}


def members_come_and_go(broker: Broker, folder: Path) -> dict[str, Any]:
    with scene(broker, folder, "rebalance", 2) as (it, producer, group):
        for turn in range(7):
            (group[1].kill if turn % 2 else group[1].stop)()
            time.sleep(0.7)
            group[1].start()
            time.sleep(2.3)
        return {**it.verdict(producer), "joins": len(it.lines("member", "started"))}


_IDLE, _BLOCK = signal.SIGUSR1, signal.SIGUSR2
_STANDS = (("idle-alone", 1, _IDLE), ("idle-of-two", 2, _IDLE), ("loop-blocked-of-two", 2, _BLOCK))


def member_stands_still(broker: Broker, folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, members, number in _STANDS:
        with scene(broker, folder, name, members) as (it, producer, group):
            time.sleep(2)
            os.kill(group[0].pid, number)
            it.wait_for(lambda it=it: bool(it.lines("member", "goes-on")))  # type: ignore[misc]
            resumed = time.monotonic() + 0.3  # what it had in hand is written at once; new polls are meant
            again = it.wait_for(lambda it=it, r=resumed: it.seen_after(r, by="m0"))  # type: ignore[misc]
            found[name] = {**it.verdict(producer), "consumes_again_after_s": again}
    return found


def resumes(broker: Broker, folder: Path) -> dict[str, Any]:
    """Everyone leaves, everyone comes back: only the uncommitted comes again."""
    with scene(broker, folder, "resume", 2) as (it, producer, group):
        time.sleep(3)
        for child in group:
            child.stop()
        time.sleep(1)
        for child in group:
            child.start()
        return it.verdict(producer)


async def end_offset_of_a_batch(broker: Broker) -> dict[str, int]:
    """What the broker calls the end of a partition that holds one batch of five."""
    await ensure_topics([TopicSpec(name="ends", partitions=1)], settings=_settings(broker))
    producer = AIOKafkaProducer(bootstrap_servers=broker.bootstrap_servers, acks="all", linger_ms=50)
    consumer = AIOKafkaConsumer(bootstrap_servers=broker.bootstrap_servers)
    await producer.start()
    await consumer.start()
    try:
        waiting = [await producer.send("ends", b"x", partition=0) for _ in range(5)]
        last = (await asyncio.gather(*waiting))[-1].offset
        end = (await consumer.end_offsets([TopicPartition("ends", 0)]))[TopicPartition("ends", 0)]
        return {"right": last + 1, "said": end}
    finally:
        await producer.stop()
        await consumer.stop()


async def idempotent_producer_starts(bootstrap: str) -> str:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, enable_idempotence=True, acks="all")
    try:
        await asyncio.wait_for(producer.start(), timeout=8)
        await asyncio.wait_for(producer.send_and_wait("ends", b"x", partition=0), timeout=5)
        return "works"
    except (KafkaError, TimeoutError) as error:
        return f"fails: {type(error).__name__} {error}".strip()
    finally:
        with contextlib.suppress(TimeoutError, KafkaError):
            await asyncio.wait_for(producer.stop(), timeout=3)


def judge(result: Any) -> bool:
    if not isinstance(result, dict):
        return True
    good = (
        not result.get("lost")
        and not result.get("died")
        and not result.get("order_broken")
        and result.get("drain_s", 0) is not None
    )
    return good and all(judge(value) for value in result.values())


def run(*, kind: str, lib: Path, folder: Path) -> int:
    choice = Choice(kind="tansu" if kind == "tansu" else "kafka", reason="asked for", forced=True)
    begun = time.monotonic()
    broker = start_broker(folder=folder, lib=lib, choice=choice)
    steps = [two_members, resumes]
    steps += [] if kind == "tansu" else [members_come_and_go, member_stands_still, broker_dies]
    try:
        result: dict[str, Any] = {step.__name__: step(broker, folder) for step in steps}
        result["end_offset"] = asyncio.run(end_offset_of_a_batch(broker))
        result["idempotent_producer"] = asyncio.run(idempotent_producer_starts(broker.bootstrap_servers))
    finally:
        broker.stop()
    result["seconds"] = round(time.monotonic() - begun)
    print(json.dumps({"broker": kind, **result}, indent=1))
    return 0 if judge(result) else 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--broker", choices=["kafka", "tansu"], default="kafka")
    parser.add_argument("--lib", type=Path, default=Path("var/kafka/lib"), help="where Kafka's jars are or go")
    parser.add_argument("--keep", type=Path, help="folder for logs and files, kept")
    for hidden in ("--role", "--name", "--topic", "--bootstrap", "--out"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.role is None:
        with tempfile.TemporaryDirectory(prefix="broker-spike-") as temporary:
            return run(kind=options.broker, lib=options.lib, folder=options.keep or Path(temporary))
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    settings = settings_of(kind=options.broker, bootstrap=options.bootstrap, name=options.name)
    body = produce if options.role == "producer" else consume
    asyncio.run(body(settings, options.topic, Appender(Path(options.out))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
