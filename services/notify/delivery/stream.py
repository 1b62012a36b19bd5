"""New inbox messages as they commit, for everyone who listens: one LISTEN and one query per process, not per client.

A row's place is (transaction, number). Only transactions older than every running one are shown, so none that commits
late is skipped; a client that names the last place it saw gets exactly what follows.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from uuid import UUID

import asyncpg
from sqlalchemy import select, text, tuple_

from services.kernel.work import EVERYTHING, Actor, Cause, Database, UnitOfWork
from services.notify import metrics
from services.notify.tables import delivery

log = logging.getLogger(__name__)

CHANNEL = "notify_inbox"
SHOWN = ("pending", "sending", "accepted", "unknown", "delivered", "acknowledged")
"""States of a message that stands in the person's inbox, on whatever channel it travels."""
_POLL_S = 5.0
_SHORTEST_PAUSE_S = 0.02
_MOST_WAITING = 500
_LOOK_AGAIN_S = 0.1
_NEWEST = text("pg_snapshot_xmax(pg_current_snapshot())::text::bigint")
_UNTIL = text("pg_snapshot_xmin(pg_current_snapshot())::text::bigint")


@dataclass(frozen=True, order=True)
class Place:
    xid: int
    seq: int

    def __str__(self) -> str:
        return f"{self.xid}-{self.seq}"

    @classmethod
    def parse(cls, given: str) -> "Place | None":
        xid, _, seq = given.partition("-")
        if not (xid.isascii() and xid.isdigit() and seq.isascii() and seq.isdigit()) or len(given) > 40:
            return None
        return cls(int(xid), int(seq))


@dataclass(frozen=True)
class Arrived:
    place: Place
    delivery_id: UUID


@dataclass(kw_only=True, eq=False)
class _Listener:
    person_id: str
    queue: asyncio.Queue[Arrived | None] = field(default_factory=lambda: asyncio.Queue(_MOST_WAITING))


async def announce(work: UnitOfWork) -> None:
    """Wake the streams when this transaction commits."""
    await work.db.execute(text("SELECT pg_notify(:c, '')"), {"c": CHANNEL})


async def since(work: UnitOfWork, *, person_id: str, after: Place | None, limit: int = 200) -> list[Arrived]:
    """The person's messages after a place, oldest first; without a place the newest ones."""
    d = delivery.c
    query = select(d.created_xid, d.seq, d.delivery_id).where(
        d.person_id == person_id, d.state.in_(SHOWN), d.created_xid < _UNTIL
    )
    if after is not None:
        query = query.where(tuple_(d.created_xid, d.seq) > (after.xid, after.seq)).order_by(d.created_xid, d.seq)
        rows = (await work.db.execute(query.limit(limit))).all()
    else:
        query = query.order_by(d.created_xid.desc(), d.seq.desc())
        rows = list(reversed((await work.db.execute(query.limit(limit))).all()))
    return [Arrived(Place(r.created_xid, r.seq), r.delivery_id) for r in rows]


class InboxHub:
    """Started with the first listener of the process, ended with the last."""

    def __init__(self, *, database: Database, dsn: str) -> None:
        self._database = database
        self._dsn = dsn.replace("postgresql+asyncpg://", "postgresql://")
        self._listeners: set[_Listener] = set()
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._from = 0

    @contextlib.asynccontextmanager
    async def listening(self, *, person_id: str) -> AsyncIterator[asyncio.Queue[Arrived | None]]:
        """What commits from now on; None on the queue means: too slow, connect again with the last place seen."""
        listener = _Listener(person_id=person_id)
        if self._task is None or self._task.done():
            self._from = await self._until()
            self._task = asyncio.create_task(self._run(), name="inbox-hub")
        self._listeners.add(listener)
        metrics.SSE_CLIENTS.set(len(self._listeners))
        try:
            yield listener.queue
        finally:
            self._listeners.discard(listener)
            metrics.SSE_CLIENTS.set(len(self._listeners))
            if not self._listeners and self._task is not None:
                self._task.cancel()
                await asyncio.gather(self._task, return_exceptions=True)
                self._task = None

    async def _run(self) -> None:
        connection: asyncpg.Connection | None = None
        try:
            while True:
                try:
                    if connection is None or connection.is_closed():
                        connection = await asyncpg.connect(self._dsn, timeout=5)
                        await connection.add_listener(CHANNEL, lambda *_: self._wake.set())
                    await self._look()
                except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
                    log.warning("inbox streams: database away: %s", type(error).__name__)
                    await asyncio.sleep(1)
                await asyncio.sleep(_SHORTEST_PAUSE_S)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), timeout=_POLL_S)
                self._wake.clear()
        finally:
            if connection is not None:
                connection.terminate()

    async def _look(self) -> None:
        people = sorted({listener.person_id for listener in self._listeners})
        async with self._work() as work:
            until, newest = (await work.db.execute(select(_UNTIL, _NEWEST))).one()
            d = delivery.c
            query = select(d.person_id, d.created_xid, d.seq, d.delivery_id).where(
                d.person_id.in_(people), d.created_xid >= self._from, d.created_xid < until, d.state.in_(SHOWN)
            )
            rows = (await work.db.execute(query.order_by(d.created_xid, d.seq))).all()
        if until < newest:  # something still runs: what committed after it began is shown when it has ended
            asyncio.get_running_loop().call_later(_LOOK_AGAIN_S, self._wake.set)
        self._from = max(self._from, until)
        for row in rows:
            arrived = Arrived(Place(row.created_xid, row.seq), row.delivery_id)
            for listener in [x for x in self._listeners if x.person_id == row.person_id]:
                self._give(listener, arrived)

    def _give(self, listener: _Listener, arrived: Arrived) -> None:
        if listener.queue.qsize() < _MOST_WAITING - 1:
            listener.queue.put_nowait(arrived)
        elif not listener.queue.full():
            listener.queue.put_nowait(None)

    async def _until(self) -> int:
        async with self._work() as work:
            return int((await work.db.execute(select(_UNTIL))).scalar_one())

    def _work(self) -> AbstractAsyncContextManager[UnitOfWork]:
        cause = Cause(id="inbox-hub", source="stream", type="inbox-hub")
        actor = Actor(person_id=f"system:{self._database.service}", role="system")
        return self._database.work(role="api", cause=cause, actor=actor, scope=EVERYTHING)
