"""From the outbox to the broker: in order per key, never past a failed row, by whole hash shards."""

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any

import asyncpg

from services.kernel import faults, metrics
from services.kernel.broker import Outgoing, Producer
from services.kernel.tables import SHARDS
from services.kernel.work import Database

log = logging.getLogger(__name__)

_SHORTEST_PAUSE_S = 0.02
_POLL_S = 0.1


class Relay:
    """Owns the shards whose advisory locks its session holds; another replica takes over when the session dies."""

    name = "relay"

    def __init__(self, *, database: Database, producer: Producer, dsn: str) -> None:
        self._database = database
        self._producer = producer
        self._dsn = dsn.replace("postgresql+asyncpg://", "postgresql://")
        self._wake = asyncio.Event()
        self._session: asyncpg.Connection | None = None
        self._shards: list[int] = []
        self._looked_for_shards = 0.0
        self.running = True
        self.last_turn = time.monotonic()
        database.on_emitted.append(self._wake.set)

    async def run(self) -> None:
        while self.running:
            self.last_turn = time.monotonic()
            try:
                sent = await self._turn()
            except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
                log.warning("relay: database away: %s", type(error).__name__)
                metrics.RETRIES.labels(self._database.service, "relay").inc()
                await self._drop_session()
                sent = 0
                await asyncio.sleep(0.5)
            if not sent:
                await self._rest()
        await self._drop_session()
        await self._producer.discard()

    async def _rest(self) -> None:
        """Until woken, but not sooner than 20 ms and not later than the poll interval."""
        await asyncio.sleep(_SHORTEST_PAUSE_S)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), timeout=_POLL_S)
        self._wake.clear()

    async def _turn(self) -> int:
        session = await self._session_with_shards()
        if not self._shards:
            return 0
        schema = self._database.service
        rows = await session.fetch(
            f'SELECT seq, created_at, topic, aggregateid, type, payload, headers FROM "{schema}".outbox'  # noqa: S608
            " WHERE published_at IS NULL AND shard = ANY($1) ORDER BY seq LIMIT 1000",
            self._shards,
        )
        sent = 0
        for wave in _waves(rows):
            faults.point("relay-claimed")
            acknowledged = await self._producer.send([_outgoing(r) for r in wave])
            faults.point("relay-acknowledged")
            done = [r for r, ok in zip(wave, acknowledged, strict=True) if ok]
            await session.execute(
                f'UPDATE "{schema}".outbox SET published_at = clock_timestamp()'  # noqa: S608
                " WHERE seq = ANY($1) AND created_at >= $2",
                [r["seq"] for r in done],
                min((r["created_at"] for r in done), default=None),
            )
            faults.point("relay-marked")
            for r in done:
                metrics.OUTBOX_PUBLISHED.labels(schema, r["topic"]).inc()
            sent += len(done)
            if len(done) < len(wave):
                # What failed must go before its key's later rows: start anew from the oldest.
                metrics.RETRIES.labels(schema, "relay").inc()
                await asyncio.sleep(0.3)
                break
        return sent

    async def _session_with_shards(self) -> asyncpg.Connection:
        if self._session is None or self._session.is_closed():
            self._shards = []
            self._looked_for_shards = 0.0
            self._session = await asyncpg.connect(self._dsn, timeout=5, command_timeout=30)
            await self._session.set_type_codec(
                "jsonb", schema="pg_catalog", encoder=str, decoder=_plain_json, format="text"
            )
        if len(self._shards) < SHARDS and time.monotonic() - self._looked_for_shards > 2:
            self._looked_for_shards = time.monotonic()
            for shard in range(SHARDS):
                if shard not in self._shards:
                    got = await self._session.fetchval(
                        "SELECT pg_try_advisory_lock(hashtext($1), $2)", f"relay-{self._database.service}", shard
                    )
                    if got:
                        self._shards.append(shard)
        return self._session

    async def _drop_session(self) -> None:
        if self._session is not None:
            session, self._session = self._session, None
            session.terminate()


def _plain_json(value: str) -> Any:
    return json.loads(value)


def _waves(rows: Sequence[Any]) -> list[list[Mapping[str, Any]]]:
    """The n-th rows of all keys together: within a wave no key stands twice."""
    waves: list[list[Mapping[str, Any]]] = []
    depth: dict[tuple[str, str], int] = {}
    for row in rows:
        key = (row["topic"], row["aggregateid"])
        n = depth.get(key, 0)
        depth[key] = n + 1
        if n == len(waves):
            waves.append([])
        waves[n].append(row)
    return waves


def _outgoing(row: Mapping[str, Any]) -> Outgoing:
    return Outgoing(topic=row["topic"], key=row["aggregateid"].encode(), value=row["payload"], headers=row["headers"])
