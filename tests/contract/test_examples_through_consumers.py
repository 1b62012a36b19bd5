"""Every example through every consumer of it, on real databases; what a service then says is fed to those who hear it.

A handler that runs twice leaves the same rows, whether the record came again or its source told the same under another
id. Not compared: the kernel's own tables, which keep that it came twice.
"""

import base64
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import uuid4

import asyncpg
import pytest
from pydantic import SecretStr

from deploy.local.postgres import PostgresServer
from deploy.reference.__main__ import SERVICES, manifests
from services.contracts.envelope import Event
from services.contracts.examples import exemplar
from services.contracts.registry import BY_TYPE, EVENTS
from services.kernel.broker import Record
from services.kernel.clock import ManualClock
from services.kernel.consumer import Applier, Releaser
from services.kernel.manifest import Service
from services.kernel.settings import KernelSettings
from services.kernel.work import EVERYTHING, Actor, Cause, Database
from services.notify.directory.vault import vault
from services.notify.settings import notify_settings
from tests.migrated import PASSWORD, dsn_of, empty_database

NOW = datetime(2026, 6, 20, 2, 0, tzinfo=UTC)
"""Shortly after what the examples tell."""
NOT_COMPARED = {"interval_block": "tie"}
"""A number drawn from the event's identity: which of two equal tellings of a slot wins."""
LEDGERS = {
    "changed_days": "days to be summed up anew; summing them twice gives the same sums",
    "planning": "an account of each planning; who is told, and how often, stands in the deliveries",
}
"""Tables that note that work came, with the reason why two notes do no harm."""
MANIFESTS = {s.name: s for s in manifests()}
FIRST = (
    "unit-changed", "post-changed", "customer-changed", "customer-profile-changed", "person-changed", "feeder-changed",
    "fault-detected",
)  # fmt: skip
"""What others refer to comes first here; the order in which things wait is tested in the services' own tests."""


def _rank(event: type[Event]) -> int:
    what = event.TYPE.split(".")[2]
    return FIRST.index(what) if what in FIRST else len(FIRST)


IN_ORDER = sorted(EVENTS, key=_rank)


@dataclass(kw_only=True)
class Consumer:
    """One service on an empty schema, fed record by record."""

    service: Service
    database: Database
    admin: asyncpg.Connection
    offsets: int = field(default=0)

    def __post_init__(self) -> None:
        self.applier = Applier(service=self.service, database=self.database)

    def hears(self, event: type[Event]) -> bool:
        return event.TYPE in self.applier.contracts or event.TYPE in self.applier.bulk

    async def hear(self, event: Event, *, event_id: str) -> str:
        self.offsets += 1
        headers = {
            "ce_specversion": "1.0", "ce_id": event_id, "ce_source": "examples", "ce_type": event.TYPE,
            "ce_time": NOW.isoformat(),
        }  # fmt: skip
        record = Record(
            topic=event.TOPIC, partition=0, offset=self.offsets, key=event.key.encode(), value=event.to_wire(),
            headers=headers, timestamp_ms=0,
        )  # fmt: skip
        if event.TYPE in self.applier.bulk:
            outcome = await self._in_bulk(event, record)
        else:
            outcome = await self.applier.apply(record)
        while await Releaser(applier=self.applier).turn():
            pass
        return outcome

    async def _in_bulk(self, event: Event, record: Record) -> str:
        cause = Cause(id=f"batch-{self.offsets}", source="examples", type="batch")
        actor = Actor(person_id=f"system:{self.service.name}")
        async with self.database.work(role="worker", cause=cause, actor=actor, scope=EVERYTHING) as work:
            rejected = await self.applier.bulk[event.TYPE].handler([record], work=work)
        return "dead-lettered" if rejected else "applied"

    async def dump(self) -> dict[str, list[str]]:
        """All rows of the service's own tables as text, in order."""
        found = {}
        for table in sorted({t.name for t in self.service.own_tables} - LEDGERS.keys()):
            row = f"to_jsonb(t) - '{NOT_COMPARED.get(table, '')}'"
            rows = await self.admin.fetch(f'SELECT ({row})::text FROM {self.service.name}."{table}" t ORDER BY 1')
            found[table] = [r[0] for r in rows]
        return found

    async def said(self) -> list[tuple[str, str, bytes | None]]:
        rows = await self.admin.fetch(f"SELECT type, aggregateid, payload FROM {self.service.name}.outbox ORDER BY seq")
        return [(r["type"], r["aggregateid"], r["payload"]) for r in rows]

    async def dead_letters(self) -> list[str]:
        rows = await self.admin.fetch(f"SELECT type, reason, detail FROM {self.service.name}.dead_letter")
        return [f"{r['type']}: {r['reason']}: {r['detail']}" for r in rows]


@pytest.fixture
async def consumers(postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[dict[str, Consumer]]:
    monkeypatch.setenv("KEYLINE_MASTER_KEY", base64.b64encode(bytes(range(32))).decode())
    notify_settings.cache_clear()
    vault.cache_clear()
    name = await empty_database(postgres, *MANIFESTS.values())
    settings = KernelSettings(
        environment="test", database_host=postgres.host, database_port=postgres.port, database_name=name,
        database_password=SecretStr(PASSWORD),
    )  # fmt: skip
    opened: dict[str, Consumer] = {}
    admin = await asyncpg.connect(dsn_of(postgres, name))
    for service in MANIFESTS.values():
        database = Database(service=service.name, metadata=service.metadata, settings=settings)
        database.clock = ManualClock(now=NOW)
        opened[service.name] = Consumer(service=service, database=database, admin=admin)
    yield opened
    for consumer in opened.values():
        await consumer.database.close()
    await admin.close()


@pytest.mark.parametrize("name", SERVICES)
async def test_every_example_is_applied_by_every_consumer_and_a_second_time_changes_nothing(
    consumers: dict[str, Consumer], name: str
) -> None:
    consumer = consumers[name]
    heard = [exemplar(event) for event in IN_ORDER if consumer.hears(event)]
    assert len(heard) == len(consumer.service.consumes) + sum(len(b.events) for b in consumer.service.bulk)
    outcomes = {event.TYPE: await consumer.hear(event, event_id=f"first-{event.TYPE}") for event in heard}
    assert {t: o for t, o in outcomes.items() if o != "applied"} == {}, await consumer.dead_letters()
    state = await consumer.dump()
    assert any(state.values())
    for event in heard:
        again = await consumer.hear(event, event_id=f"first-{event.TYPE}")
        assert again in ("duplicate", "applied"), event.TYPE
    assert await consumer.dump() == state
    for event in heard:
        other = await consumer.hear(event, event_id=f"other-{event.TYPE}")
        assert other in ("applied", "outdated"), f"{event.TYPE} told under another id: {await consumer.dead_letters()}"
        _same(await consumer.dump(), state, told_again=event.TYPE)
    assert await consumer.dead_letters() == []


def _same(found: dict[str, list[str]], wanted: dict[str, list[str]], *, told_again: str) -> None:
    differing = {t: sorted({*found[t]} ^ {*wanted[t]}) for t in wanted if found[t] != wanted[t]}
    assert differing == {}, f"{told_again} told a second time under another id changed rows"


async def test_what_a_service_says_is_understood_by_all_who_hear_it(consumers: dict[str, Consumer]) -> None:
    """Only outside owners' examples enter; everything else is what the services make of them, until none says more."""
    outside = [exemplar(event) for event in IN_ORDER if event.said_by() not in SERVICES]
    taken = dict.fromkeys(consumers, 0)
    waiting: list[tuple[str, Event]] = [("outside", event) for event in outside]
    pairs: set[tuple[str, str, str]] = set()
    for _ in range(20):
        for speaker, event in waiting:
            for name, consumer in consumers.items():
                if consumer.hears(type(event)) and name != speaker:
                    outcome = await consumer.hear(event, event_id=f"{speaker}-{event.TYPE}-{uuid4().hex}")
                    assert outcome != "dead-lettered", (event.TYPE, name, await consumer.dead_letters())
                    pairs.add((speaker, event.TYPE, name))
        waiting = []
        for name, consumer in consumers.items():
            said = (await consumer.said())[taken[name] :]
            taken[name] += len(said)
            waiting += [(name, _as_consumers_read(type_, key, payload)) for type_, key, payload in said if payload]
        if not waiting:
            break
    else:
        pytest.fail(f"they never fall silent: {[(s, e.TYPE) for s, e in waiting]}")
    assert {(a, b) for a, _, b in pairs if a != "outside"} >= {
        ("portrait", "inspection"), ("portrait", "outage"), ("portrait", "notify"), ("notify", "portrait"),
        ("notify", "inspection"), ("notify", "outage"), ("outage", "notify"), ("outage", "portrait"),
    }  # fmt: skip


def _as_consumers_read(type_: str, key: str, payload: bytes) -> Event:
    event = BY_TYPE[type_].from_wire(bytes(payload))
    assert json.loads(payload) == json.loads(event.to_wire()), f"{type_} is not what its contract writes"
    assert event.key == key
    return event
