"""Sends what is due: a loop for each channel, so that a slow provider holds up no other; answers stored in batches."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import String, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY

from services.kernel import faults
from services.kernel.errors import is_transient
from services.kernel.work import EVERYTHING, Actor, Cause, Database
from services.notify import metrics
from services.notify.adapters.port import Channel, ChannelError
from services.notify.delivery import upkeep
from services.notify.delivery.claims import LEASE, Claim, Claimed, claim
from services.notify.delivery.limits import Limits, shipped_limits
from services.notify.delivery.outcomes import Answer, record
from services.notify.delivery.pacing import Line, Waiting
from services.notify.rules.retries import FailureKind

log = logging.getLogger(__name__)

WIDTH = 64
"""Messages under way at once per channel."""
LARGEST_CLAIM = 800
LOW = 400
"""With fewer waiting the next are claimed: enough to send while the claim is made."""
AHEAD_S = 0.5
"""Tokens of a limit are taken so long before they are due."""
CALL_SECONDS = 10
POLL_S = 0.1
PACE_S = 0.02
FULL_STORE = 250
LINGER_S = 0.1
"""Answers wait so long for others to be stored with, while others are under way."""
_DUE = text(
    """
    SELECT c.name FROM unnest(CAST(:channels AS varchar[])) AS c(name) CROSS JOIN generate_series(0, 3) AS p(priority)
    WHERE EXISTS (SELECT FROM notify.delivery d WHERE d.channel = c.name AND d.priority = p.priority
                  AND d.state IN ('pending', 'sending') AND d.next_attempt_at <= :now)
    GROUP BY c.name
    """
).bindparams(bindparam("channels", type_=ARRAY(String)))
_SAFE_LEASE_S = LEASE.total_seconds() - CALL_SECONDS - 5
Channels = Mapping[str, Sequence[Channel]]


def transaction(database: Database, name: str, type_: str) -> Any:
    cause = Cause(id=name, source="sender", type=type_)
    actor = Actor(person_id=f"system:{database.service}", role="system")
    return database.work(role="worker", cause=cause, actor=actor, scope=EVERYTHING)


class ChannelLoop:
    """Claims, sends and stores for one channel."""

    def __init__(
        self, *, database: Database, channel: str, providers: Sequence[Channel], limits: Limits, width: int = WIDTH
    ) -> None:
        self.channel = channel
        self._database = database
        self._providers = providers
        self._limits = limits
        self._width = width
        self._send_seconds = {provider.name: metrics.SEND_SECONDS.labels(provider.name) for provider in providers}
        self._line = Line()
        self._under_way: set[asyncio.Task[None]] = set()
        self._answers: list[tuple[Channel, Claimed, Answer]] = []
        self._storing: asyncio.Task[None] | None = None
        self._next_start: asyncio.TimerHandle | None = None
        self._is_low, self._gathered = asyncio.Event(), asyncio.Event()
        self._seconds = 0.05
        self.wake = asyncio.Event()
        self.running = True
        self.answered = 0

    async def run(self) -> None:
        while self.running:
            try:
                claimed = await self.turn(ahead_s=AHEAD_S)
            except Exception as error:
                log.log(logging.WARNING if is_transient(error) else logging.ERROR, "sender", exc_info=error)
                claimed = Claim(wait=timedelta(seconds=1))
            await self._rest(claimed)
        await self.drain()

    def stop(self) -> None:
        """What is claimed is still sent."""
        self.running = False
        self.wake.set()
        self._is_low.set()

    async def turn(self, *, ahead_s: float = 0.0) -> Claim:
        """Claim what there is room for and start sending it, each message when its token is due."""
        room = self._room()
        if room <= 0:
            return Claim(wait=timedelta(seconds=PACE_S))
        async with transaction(self._database, f"claim|{self.channel}", "sender-claim") as work:
            found = await claim(
                work, channel=self.channel, providers=self._providers, room=room, limits=self._limits, ahead_s=ahead_s
            )
        faults.point("send-claimed")
        self._line.put(found, now=time.monotonic())
        self._start()
        return found

    async def drain(self) -> None:
        """Until everything that was claimed has its answer stored."""
        while len(self._line) or self._under_way or self._answers or self._storing:
            waiting = {*self._under_way, *([self._storing] if self._storing else [])}
            if waiting:
                await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            elif len(self._line):
                await asyncio.sleep(PACE_S)
            self._store()

    def _room(self) -> int:
        """Not more than can be sent well within the lease at the pace seen last."""
        pace = self._width / max(self._seconds, 0.002)
        return min(LARGEST_CLAIM, max(int(pace * _SAFE_LEASE_S / 3), self._width)) - len(self._line)

    async def _rest(self, claimed: Claim) -> None:
        if claimed.wait is not None:
            await asyncio.sleep(min(max(claimed.wait.total_seconds(), PACE_S), 1))
        elif not claimed.took:
            self.wake.clear()
            await self.wake.wait()
        elif claimed.took <= self._width:
            await asyncio.sleep(PACE_S)
        while self.running and len(self._line) > LOW:
            self._is_low.clear()
            await self._is_low.wait()
        held = self._line.lasts(now=time.monotonic()) - AHEAD_S / 2
        if self.running and held > 0:
            await asyncio.sleep(min(held, 1))

    def _start(self) -> None:
        now = time.monotonic()
        while len(self._under_way) < self._width and (next_one := self._line.take(now=now)) is not None:
            task = asyncio.create_task(self._send_on(next_one))
            self._under_way.add(task)
            task.add_done_callback(self._ended)
        if len(self._line) <= LOW:
            self._is_low.set()
        if len(self._line) and len(self._under_way) < self._width and self._next_start is None:
            wait = max(self._line.opens_at() - now, 0.001)
            self._next_start = asyncio.get_running_loop().call_later(wait, self._on_time)

    def _on_time(self) -> None:
        self._next_start = None
        self._start()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a message stays leased and comes back", exc_info=error)
        self._start()
        if not self._under_way:
            self._gathered.set()

    async def _send_on(self, first: Waiting) -> None:
        """One message after the other for as long as the next may begin: a task for each would cost more."""
        waiting: Waiting | None = first
        while waiting is not None:
            await self._send(waiting)
            waiting = self._line.take(now=time.monotonic())
            if len(self._line) <= LOW:
                self._is_low.set()

    async def _send(self, waiting: Waiting) -> None:
        provider, claimed, begun = waiting.provider, waiting.claimed, time.monotonic()
        if begun - waiting.claimed_at > _SAFE_LEASE_S:
            return  # not begun in time: it comes back when its lease ends
        answer: Any
        faults.point("send-begun")
        try:
            async with asyncio.timeout(CALL_SECONDS):
                answer = await provider.send(claimed.message)
        except ChannelError as error:
            answer = error
        except TimeoutError:
            answer = ChannelError("no answer in time", kind=FailureKind.TRANSIENT, ambiguous=True)
        faults.point("send-answered")
        took = time.monotonic() - begun
        self._seconds += 0.1 * (took - self._seconds)
        self._send_seconds[provider.name].observe(took)
        result = Answer(
            delivery_id=claimed.message.delivery_id, number=claimed.number, outcome=answer,
            milliseconds=int(took * 1000), places=claimed.places,
        )  # fmt: skip
        self._answers.append((provider, claimed, result))
        self._store()

    def _store(self) -> None:
        if len(self._answers) >= FULL_STORE:
            self._gathered.set()
        if self._answers and self._storing is None:
            self._storing = asyncio.create_task(self._store_all())

    async def _gather(self) -> None:
        """Until enough answers are there to be stored together, or nothing more is under way that could join them."""
        self._gathered.clear()
        if self._under_way and len(self._answers) < FULL_STORE:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LINGER_S):
                    await self._gathered.wait()

    async def _store_all(self) -> None:
        """What comes in while one batch is written makes up the next; an answer is never dropped."""
        pause = 0.1
        try:
            while self._answers:
                await self._gather()
                batch = self._answers[:LARGEST_CLAIM]
                try:
                    await self._store_batch(batch)
                    del self._answers[: len(batch)]
                    self.answered += len(batch)
                    pause = 0.1
                except Exception as error:
                    if not is_transient(error):
                        log.exception("answers not stored; their messages come back when their leases end")
                        del self._answers[: len(batch)]
                        continue
                    await asyncio.sleep(pause)
                    pause = min(pause * 2, 5)
        finally:
            self._storing = None

    async def _store_batch(self, batch: Sequence[tuple[Channel, Claimed, Answer]]) -> None:
        providers = {provider.name: provider for provider, _, _ in batch}
        for name, provider in providers.items():
            own = [(c, a) for p, c, a in batch if p.name == name]
            first = own[0][1]
            cause = f"answers|{name}|{first.delivery_id}|{first.number}"
            async with transaction(self._database, cause, "sender-answers") as work:
                await record(
                    work, provider=provider, answers=[a for _, a in own],
                    classes={c.message.delivery_id: c.template_id for c, _ in own},
                )  # fmt: skip
        faults.point("send-stored")


class Sender:
    """All channels, and the upkeep of what waits: held messages, receipts that do not come."""

    def __init__(self, *, database: Database, channels: Channels, limits: Limits | None = None) -> None:
        self._database = database
        known = shipped_limits() if limits is None else limits
        self.loops = {
            channel: ChannelLoop(database=database, channel=channel, providers=providers, limits=known)
            for channel, providers in channels.items()
        }
        self.running = True

    async def run(self) -> None:
        tasks = [asyncio.create_task(loop.run(), name=f"sender-{name}") for name, loop in self.loops.items()]
        last_upkeep = 0.0
        while self.running:
            try:
                for channel in await self._due():
                    self.loops[channel].wake.set()
                if time.monotonic() - last_upkeep >= 1:
                    last_upkeep = time.monotonic()
                    await self.keep_up()
            except Exception as error:
                log.log(logging.WARNING if is_transient(error) else logging.ERROR, "sender", exc_info=error)
            if any(task.done() for task in tasks):
                raise RuntimeError("a channel's loop ended")
            await asyncio.sleep(POLL_S)
        for loop in self.loops.values():
            loop.stop()
        await asyncio.wait(tasks, timeout=CALL_SECONDS + 1)

    async def turn(self) -> int:
        """One claim on every channel; how many messages started."""
        return sum([len((await loop.turn()).messages) for loop in self.loops.values()])

    async def drain(self) -> None:
        for loop in self.loops.values():
            await loop.drain()

    async def keep_up(self) -> int:
        """How many messages moved on by time alone."""
        moved = 0
        for name, step in upkeep.STEPS.items():
            async with transaction(self._database, f"upkeep|{name}", "sender-upkeep") as work:
                moved += await step(work)
        return moved

    async def _due(self) -> list[str]:
        """A look without locks, one for all channels; it costs the same however many messages wait."""
        due = {"channels": list(self.loops), "now": self._database.clock.now()}
        async with self._database.engine("worker").connect() as connection:
            return list((await connection.execute(_DUE, due)).scalars())
