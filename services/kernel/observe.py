"""Gauges that only the database and the broker know, taken every two seconds; each tells when it cannot be asked."""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

from aiokafka.errors import KafkaError
from sqlalchemy import ColumnElement, extract, func, select, true
from sqlalchemy.ext.asyncio import AsyncConnection

from services.kernel import metrics
from services.kernel.consumer import Loop
from services.kernel.manifest import Service
from services.kernel.relay import Relay
from services.kernel.work import Database

log = logging.getLogger(__name__)

EVERY_S = 2
_PATIENCE_S = 5


class Observer:
    def __init__(self, *, service: Service, database: Database, loops: Sequence[Loop], relay: Relay | None) -> None:
        self._service = service
        self._database = database
        self._loops = loops
        self._behind_since: dict[str, float] = {}
        turning: Iterable[Loop | Relay] = loops if relay is None else (*loops, relay)
        for loop in turning:
            age = metrics.POLL_AGE.labels(service.name, loop.name)
            age.set_function(partial(_silent_seconds, loop))

    async def run(self) -> None:
        while True:
            await self._look("database", self._ask_database())
            if self._loops:
                await self._look("broker", self._ask_broker())
            await asyncio.sleep(EVERY_S)

    async def _look(self, what: str, asked: Any) -> None:
        """A dependency that does not answer is itself a finding; the gauges keep their last value meanwhile."""
        try:
            async with asyncio.timeout(_PATIENCE_S):
                await asked
        except Exception as error:
            if not isinstance(error, KafkaError | OSError):
                log.warning("cannot observe the %s: %s", what, type(error).__name__)
            metrics.DEPENDENCY_UP.labels(self._service.name, what).set(0)
        else:
            metrics.DEPENDENCY_UP.labels(self._service.name, what).set(1)

    async def _ask_database(self) -> None:
        name, t = self._service.name, self._database.tables
        async with self._database.engine("worker").connect() as connection:
            depth, age = await _count_and_age(connection, t.outbox.c.created_at, t.outbox.c.published_at.is_(None))
            metrics.OUTBOX_DEPTH.labels(name).set(depth)
            metrics.OUTBOX_AGE.labels(name).set(age)
            depth, age = await _count_and_age(connection, t.waiting.c.waiting_since, true())
            metrics.WAITING.labels(name).set(depth)
            metrics.WAITING_AGE.labels(name).set(age)
            depth, _ = await _count_and_age(connection, t.dead_letter.c.created_at, t.dead_letter.c.status == "open")
            metrics.DEAD_LETTERS.labels(name).set(depth)
            if self._service.observe is not None:
                await self._service.observe(connection, now=self._database.clock.now())

    async def _ask_broker(self) -> None:
        name = self._service.name
        oldest = 0.0
        all_lags: Counter[str] = Counter()  # the members of a bulk topic hold parts of it
        for loop in self._loops:
            lags = await loop.consumer.lag()
            all_lags.update(lags)
            oldest = max(oldest, self._age(loop, behind=any(lags.values())))
        for topic, lag in all_lags.items():
            metrics.CONSUMER_LAG.labels(name, topic).set(lag)
        metrics.OLDEST_EVENT_AGE.labels(name).set(oldest)

    def _age(self, loop: Loop, *, behind: bool) -> float:
        """Seconds since the oldest record in hand was written; a loop that holds none, since it fell behind."""
        now = time.time()
        if not behind:
            self._behind_since.pop(loop.name, None)
            return 0.0
        since = self._behind_since.setdefault(loop.name, now)
        in_hand = loop.oldest_in_hand_ms
        return max(0.0, now - (in_hand / 1000 if in_hand else since))


def _silent_seconds(loop: Loop | Relay) -> float:
    return time.monotonic() - loop.last_turn


async def _count_and_age(
    connection: AsyncConnection, since: ColumnElement[Any], where: ColumnElement[bool]
) -> tuple[int, float]:
    """How many rows, and the age of the oldest in seconds."""
    age = func.coalesce(extract("epoch", func.clock_timestamp() - func.min(since)), 0)
    count, oldest = (await connection.execute(select(func.count(), age).where(where))).one()
    return int(count), float(oldest)
