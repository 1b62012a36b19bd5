"""One transaction per request, message or batch: state, inbox, outbox and audit together. Only this file commits."""

import hashlib
import json
import zlib
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

import msgspec
from sqlalchemy import insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.schema import MetaData

from services.contracts.envelope import Event
from services.kernel import faults
from services.kernel.clock import Clock
from services.kernel.settings import DatabaseRole, KernelSettings
from services.kernel.tables import SHARDS, KernelTables, kernel_tables

_IDS = uuid5(NAMESPACE_URL, "keyline")
_JSON = msgspec.json.Encoder()

_NUMBER = """
INSERT INTO "{schema}".outbox_stream AS s (aggregatetype, aggregateid, version)
SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[])
ON CONFLICT (aggregatetype, aggregateid) DO UPDATE SET version = s.version + excluded.version
RETURNING aggregatetype, aggregateid, version"""
_SAY = """
INSERT INTO "{schema}".outbox (id, aggregatetype, topic, aggregateid, version, type, shard, payload, headers)
SELECT id, topic, topic, key, version, type, shard, payload, headers::jsonb
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::smallint[], $7::bytea[], $8::text[])
  AS said(id, topic, key, version, type, shard, payload, headers)"""


@dataclass(frozen=True, kw_only=True)
class Cause:
    """What made this transaction happen: an event, a request or a job run. Ids derive from it: replays repeat them."""

    id: str
    source: str
    type: str
    traceparent: str = ""


@dataclass(frozen=True, kw_only=True)
class Scope:
    """Whose rows are visible: everything, single owners (customers), areas of the organisation with all below."""

    everything: bool = False
    owners: frozenset[str] = frozenset()
    areas: frozenset[str] = frozenset()

    def covers(self, owner_id: str, *, areas: frozenset[str]) -> bool:
        """Whether the owner, who lies in `areas`, is in this scope."""
        return self.everything or owner_id in self.owners or bool(self.areas & areas)


@dataclass(frozen=True, kw_only=True)
class Actor:
    """`own` is the scope the person has of their own; `acting` those they have for somebody else, by that person."""

    person_id: str
    role: str | None = None
    acting_for: str | None = None
    own: Scope = Scope()
    acting: tuple[tuple[str, Scope], ...] = ()


EVERYTHING = Scope(everything=True)
NOTHING = Scope()


@dataclass(kw_only=True)
class UnitOfWork:
    """What a handler, an action or a query gets: a connection inside a transaction, the hour, the cause, the scope."""

    db: AsyncConnection
    service: str
    tables: KernelTables
    now: datetime
    cause: Cause
    actor: Actor
    scope: Scope
    _emitted: list[tuple[str, str, str, bytes | None, Cause]] = field(default_factory=list)
    _arrived: list[tuple[str, str]] = field(default_factory=list)

    def new_id(self, purpose: str, *, cause: Cause | None = None) -> UUID:
        """The same id for the same cause and purpose, so that a repeated handler creates the same row.

        `cause` where several events are handled in this transaction: which ones share it differs from run to run.
        """
        of = cause or self.cause
        return uuid5(_IDS, f"{self.service}|{of.source}|{of.id}|{purpose}")

    def emit(self, event: Event, *, cause: Cause | None = None) -> None:
        """Say `event` when this transaction commits; there is no other way to say it.

        `cause` where several events are handled in this transaction and it is not the first of them.
        """
        self._emitted.append((event.TOPIC, event.key, event.TYPE, event.to_wire(), cause or self.cause))

    def emit_deletion(self, event: type[Event], *, aggregate_id: str) -> None:
        """Say that the aggregate of a compacted topic is gone (a null value)."""
        key = event.key_of(aggregate_id)
        self._emitted.append((event.TOPIC, key, event.TYPE, None, self.cause))

    def arrived(self, kind: str, reference_id: str) -> None:
        """Wake the events that wait for this reference; they are applied right after the commit."""
        self._arrived.append((kind, reference_id))

    async def raw(self) -> Any:
        """The asyncpg connection inside the same transaction, for COPY and hot paths."""
        return (await self.db.get_raw_connection()).driver_connection

    async def audit(
        self,
        *,
        action: str,
        object_type: str,
        object_id: str,
        owner_id: str | None = None,
        before: Any = None,
        after: Any = None,
        reason: str | None = None,
        rows: int = 1,
    ) -> None:
        """Note who did what to which object, or to how many; `before` and `after` are kept as hashes only."""
        await self.db.execute(
            insert(self.tables.audit).values(
                actor=self.actor.person_id,
                acting_for=await self.acting_for(owner_id),
                role=self.actor.role,
                rows=rows,
                action=action,
                object_type=object_type,
                object_id=object_id,
                owner_id=owner_id,
                cause_id=f"{self.cause.source}/{self.cause.id}"[:160],
                before_hash=_digest(before),
                after_hash=_digest(after),
                reason=reason,
            )
        )

    async def acting_for(self, owner_id: str | None) -> str | None:
        """In whose place the actor touches this owner's rows: nobody's where their own scope covers it."""
        if owner_id is None or not self.actor.acting:
            return self.actor.acting_for
        table = self.tables.owner_area
        query = select(table.c.area_id).where(table.c.owner_id == owner_id)
        areas = frozenset((await self.db.execute(query)).scalars())
        if self.actor.own.covers(owner_id, areas=areas):
            return None
        held = (person for person, scope in self.actor.acting if scope.covers(owner_id, areas=areas))
        return next(held, self.actor.acting_for)

    async def _flush(self) -> None:
        if self._emitted:
            await self._write_outbox()
        for kind, reference_id in sorted(set(self._arrived)):
            waiting = self.tables.waiting
            await self.db.execute(
                update(waiting)
                .where(waiting.c.reference_kind == kind, waiting.c.reference_id == reference_id)
                .values(next_try_at=text("clock_timestamp()"))
            )

    async def _write_outbox(self) -> None:
        per_key: dict[tuple[str, str], int] = defaultdict(int)
        for topic, key, *_ in self._emitted:
            per_key[topic, key] += 1
        connection, schema = await self.raw(), self.tables.outbox.schema
        ordered = sorted(per_key.items())
        # The row lock on the stream serialises writers of one key, so its numbers rise in commit order.
        last = await connection.fetch(
            _NUMBER.format(schema=schema), [t for (t, _), _ in ordered], [k for (_, k), _ in ordered],
            [n for _, n in ordered],
        )  # fmt: skip
        next_version = {(r[0], r[1]): r[2] - per_key[r[0], r[1]] for r in last}
        common = self._common_headers()
        rows, said = [], defaultdict[Cause, int](int)
        for topic, key, type_, payload, cause in self._emitted:
            version = next_version[topic, key] = next_version[topic, key] + 1
            event_id = self.new_id(f"emit|{said[cause]}|{type_}|{key}", cause=cause)
            said[cause] += 1
            own = {
                "ce_id": str(event_id), "ce_type": type_, "ce_subject": key, "ce_dataschema": f"urn:keyline:{type_}",
                "ce_causeid": cause.id, "ce_traceparent": cause.traceparent,
            }  # fmt: skip
            shard = zlib.crc32(f"{topic}|{key}".encode()) % SHARDS
            rows.append((event_id, topic, key, version, type_, shard, payload, _JSON.encode(common | own).decode()))
        await connection.execute(_SAY.format(schema=schema), *map(list, zip(*rows, strict=True)))

    def _common_headers(self) -> dict[str, str]:
        return {
            "ce_specversion": "1.0",
            "ce_source": f"keyline/{self.service}",
            "ce_time": self.now.isoformat(),
            "content-type": "application/json",
        }


def _digest(value: Any) -> bytes | None:
    if value is None:
        return None
    return hashlib.sha256(json.dumps(value, default=str, sort_keys=True, ensure_ascii=False).encode()).digest()


class Database:
    """Engines of one service, one per login. `work` is the only way to a transaction."""

    def __init__(self, *, service: str, metadata: MetaData, settings: KernelSettings) -> None:
        self.service = service
        self.clock: Clock = settings.clock
        self._settings = settings
        self._tables = kernel_tables(metadata)
        self._engines: dict[DatabaseRole, AsyncEngine] = {}
        self.on_emitted: list[Any] = []

    @property
    def tables(self) -> KernelTables:
        return self._tables

    def dsn(self, role: DatabaseRole) -> str:
        """For connections of asyncpg alone."""
        url = self._settings.database_url(service=self.service, role=role)
        return url.replace("postgresql+asyncpg:", "postgresql:")

    def engine(self, role: DatabaseRole) -> AsyncEngine:
        if role not in self._engines:
            statement_timeout = "5000" if role == "api" else "60000"
            self._engines[role] = create_async_engine(
                self._settings.database_url(service=self.service, role=role),
                pool_size=self._settings.pool_size,
                max_overflow=0,
                pool_timeout=2 if role == "api" else 30,
                connect_args={
                    "timeout": 5,
                    "command_timeout": 10 if role == "api" else 120,
                    "server_settings": {
                        "application_name": f"keyline-{self.service}-{role}",
                        "statement_timeout": statement_timeout,
                        "lock_timeout": "10000",
                        "idle_in_transaction_session_timeout": "30000",
                        "timezone": "UTC",
                    },
                },
            )
        return self._engines[role]

    @asynccontextmanager
    async def work(
        self, *, role: DatabaseRole, cause: Cause, actor: Actor, scope: Scope = NOTHING
    ) -> AsyncIterator[UnitOfWork]:
        """Open a transaction, hand out the unit of work, commit; on any exception roll back and pass it on."""
        async with self.engine(role).connect() as connection, connection.begin():
            unit = UnitOfWork(
                db=connection,
                service=self.service,
                tables=self._tables,
                now=self.clock.now(),
                cause=cause,
                actor=actor,
                scope=scope,
            )
            await set_scope(connection, scope)
            faults.point("after-begin")
            yield unit
            faults.point("after-effect")
            await unit._flush()
            faults.point("before-commit")
        faults.point("after-commit")
        if unit._emitted:
            for wake in self.on_emitted:
                wake()

    async def close(self) -> None:
        for engine in self._engines.values():
            await engine.dispose()


async def set_scope(connection: AsyncConnection, scope: Scope) -> None:
    """Tell row-level security, for this transaction only, whose rows may be seen. Unset means none."""
    await connection.execute(
        text(
            "SELECT set_config('keyline.everything', :e, true), set_config('keyline.owners', :o, true),"
            " set_config('keyline.areas', :a, true)"
        ),
        {
            "e": "on" if scope.everything else "off",
            "o": ",".join(sorted(scope.owners)),
            "a": ",".join(sorted(scope.areas)),
        },
    )
