"""Lives of a sender, each ended by kill -9 at a point that the seed chose; providers that write what they accepted.

Every life is a forked process: what it had in memory is gone. The journals outlive it, as a provider would.
"""

import asyncio
import json
import os
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

from services.kernel import faults
from services.kernel.clock import ManualClock
from services.kernel.settings import KernelSettings
from services.kernel.work import EVERYTHING, Actor, Cause, Database
from services.notify.adapters.port import Accepted, ChannelError, Outgoing
from services.notify.delivery.sender import Sender
from services.notify.manifest import SERVICE
from services.notify.rules.retries import FailureKind
from tests.integration.notify.sending import START, rule, tell_in

POINTS = (
    "send-claimed", "send-begun", "send-answered", "send-stored", "after-begin", "after-effect", "before-commit",
    "after-commit",
)  # fmt: skip
PER_LIFE = 4
LOST_SHARE = 0.05


@dataclass(kw_only=True)
class Journal:
    """A provider that keeps what it accepted in a file; now and then its answer is lost."""

    name: str
    path: Path
    dedupe: timedelta
    rng: Random
    shared: bool = True

    async def send(self, message: Outgoing) -> Accepted:
        await asyncio.sleep(0)
        lost = self.rng.random() < LOST_SHARE
        line = {"id": message.message_id, "delivery": str(message.delivery_id), "lost": lost}
        file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.write(file, json.dumps(line).encode() + b"\n")
        os.close(file)
        if lost:
            raise ChannelError("reset", kind=FailureKind.TRANSIENT, ambiguous=True)
        return Accepted(reference=f"{self.name}-{message.message_id}")

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(x) for x in self.path.read_text().splitlines()] if self.path.exists() else []


@dataclass(kw_only=True)
class Lives:
    settings: KernelSettings
    folder: Path
    people: tuple[str, ...]
    seed: int
    planned: int
    deaths: Counter[str]

    def journal(self, name: str, life: int = 0) -> Journal:
        dedupe = timedelta(minutes=8) if name == "wechat" else timedelta(0)
        rng = Random(f"{self.seed}|{name}|{life}")
        return Journal(name=name, path=self.folder / f"{name}.jsonl", dedupe=dedupe, rng=rng)

    def live(self) -> None:
        """Until as many deaths as planned have happened, then one life that is left alone."""
        rng, life = Random(self.seed), 0
        while sum(self.deaths.values()) < self.planned:
            life += 1
            point, nth = rng.choice(POINTS), rng.randint(1, 6)
            if self._fork(life, f"{point}:{nth}") == 137:
                self.deaths[point] += 1
            assert life < self.planned * 3, "the planned deaths do not happen"
        assert self._fork(life + 1, "") == 0

    def _fork(self, life: int, fault: str) -> int:
        pid = os.fork()
        if pid == 0:
            try:
                asyncio.run(self._life(life, fault))
                os._exit(0)
            except BaseException:
                import traceback

                (self.folder / "errors.txt").write_text(traceback.format_exc())
                os._exit(1)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    async def _life(self, life: int, fault: str) -> None:
        database = Database(service="notify", metadata=SERVICE.metadata, settings=self.settings)
        # Longer than a lease: what the last life held comes back in this one.
        clock = ManualClock(now=START + timedelta(seconds=31) * life)
        database.clock = clock
        sender = Sender(
            database=database, channels={"wechat": [self.journal("wechat", life)], "sms": [self.journal("sms", life)]}
        )
        if fault:
            await self._tell(database, life)
            faults.arm(fault, environment="test")
        for _ in range(3 if fault else 400):
            await sender.keep_up()
            await sender.turn()
            await sender.drain()
            clock.advance(timedelta(seconds=2 if fault else 90))
        await database.close()

    async def _tell(self, database: Database, life: int) -> None:
        cause, actor = Cause(id=f"life|{life}", source="tests", type="t"), Actor(person_id="system:tests")
        first = (life * PER_LIFE) % len(self.people)
        chosen = [self.people[(first + n) % len(self.people)] for n in range(PER_LIFE)]
        async with database.work(role="worker", cause=cause, actor=actor, scope=EVERYTHING) as work:
            await tell_in(
                work, chosen, rule=rule("wechat", "sms", "inbox", priority=life % 4, fallback_seconds=60),
                event_class="fault-outage", subject=f"S-{life}", channel="sms" if life % 5 == 0 else None,
            )  # fmt: skip
