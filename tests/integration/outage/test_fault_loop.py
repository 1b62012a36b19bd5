"""A fault from the feeder to the affected accounts and back, on a real Postgres, told by records and over HTTP."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import aiohttp
import asyncpg
import pytest
import uvicorn
from fastapi import FastAPI
from joserfc.jwk import ECKey

from deploy.local.postgres import EmbeddedPostgres
from deploy.local.processes import free_port
from services.contracts.envelope import Event
from services.contracts.grid import FaultDetected, FeederChanged, FeederSection, SupplyRestored
from services.contracts.metering import LastGaspReceived
from services.contracts.notify import AccessGrant, EngagementsChanged, MessageAccepted, MessageDelivered, PostAssigned
from services.contracts.portrait import CustomerProfileChanged
from services.kernel.app import build_app
from services.kernel.auth.dev_issuer import build_issuer, issue
from services.kernel.broker import Record
from services.kernel.consumer import Applier, Releaser
from services.kernel.migrate import ensure_roles, migrate
from services.kernel.settings import KernelSettings
from services.kernel.work import EVERYTHING, Actor, Cause, Database
from services.outage import plans
from services.outage.manifest import SERVICE

NOW = datetime(2026, 6, 15, 2, 0, tzinfo=UTC)
PASSWORD = "only-for-this-test"


@pytest.fixture(scope="module")
def server_dsn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    server = EmbeddedPostgres(folder=tmp_path_factory.mktemp("outage") / "postgres", synchronous_commit="off")
    try:
        yield server.start().superuser_dsn
    finally:
        server.stop()


@dataclass(kw_only=True)
class House:
    """Outage with an empty schema; `tell` hands it a record as the poll loop would."""

    admin: asyncpg.Connection
    settings: KernelSettings
    database: Database
    applier: Applier
    told: int = field(default=0)

    async def tell(self, event: Event, *, event_id: str | None = None) -> str:
        self.told += 1
        headers = {
            "ce_specversion": "1.0", "ce_id": event_id or f"e-{self.told}", "ce_source": "test", "ce_type": event.TYPE,
            "ce_time": NOW.isoformat(),
        }  # fmt: skip
        record = Record(
            topic=event.TOPIC, partition=0, offset=self.told, key=event.key.encode(), value=event.to_wire(),
            headers=headers, timestamp_ms=0,
        )  # fmt: skip
        outcome = await self.applier.apply(record)
        while await Releaser(applier=self.applier).turn():
            pass
        return outcome

    async def said(self, type_: str) -> list[dict[str, Any]]:
        query = "SELECT payload FROM outage.outbox WHERE type = $1 ORDER BY seq"
        return [json.loads(r["payload"]) for r in await self.admin.fetch(query, f"keyline.outage.{type_}.v1")]

    async def outage_id(self) -> str:
        return str(await self.admin.fetchval("SELECT outage_id FROM outage.outage"))


@pytest.fixture
async def house(server_dsn: str) -> AsyncIterator[House]:
    name = f"outage_{time.time_ns()}"
    root = await asyncpg.connect(server_dsn)
    await root.execute(f"CREATE DATABASE {name}")
    await root.close()
    dsn = server_dsn.rsplit("/", 1)[0] + f"/{name}"
    logins = {f"outage_{role}": PASSWORD for role in ("api", "worker", "migrator")}
    await ensure_roles(admin_dsn=dsn, service="outage", passwords=logins)
    settings = KernelSettings(
        environment="test",
        database_port=int(dsn.rsplit(":", 1)[1].split("/")[0]),
        database_name=name,
        database_password=PASSWORD,
        as_of=NOW,
        as_of_started_at=time.time(),
    )
    await migrate(service=SERVICE, settings=settings)
    database = Database(service="outage", metadata=SERVICE.metadata, settings=settings)
    admin = await asyncpg.connect(dsn)
    yield House(admin=admin, settings=settings, database=database, applier=Applier(service=SERVICE, database=database))
    await database.close()
    await admin.close()


def profile(customer: str, *points: str, grade: str = "none", area: str = "A-1", version: int = 1) -> Event:
    account = {
        "account_id": f"ACC-{customer}", "service_area_id": area, "contract_capacity_kva": "1000", "voltage_kv": "10",
        "importance_grade": grade, "dual_supply": False,
    }  # fmt: skip
    usage_points = [{"usage_point_id": p, "account_id": f"ACC-{customer}", "site_id": f"S-{customer}"} for p in points]
    body = {
        "customer_id": customer, "version": version, "name": f"客户 {customer}", "key_account": True,
        "accounts": [account], "sites": [{"site_id": f"S-{customer}", "name": "厂区"}], "usage_points": usage_points,
        "importance_grade": grade,
    }  # fmt: skip
    return CustomerProfileChanged.model_validate_json(json.dumps(body))


def feeder(*sections: tuple[str, ...], version: int = 1) -> Event:
    parts = tuple(FeederSection(section_id=f"SEC-{n}", usage_point_ids=p) for n, p in enumerate(sections, start=1))
    return FeederChanged(
        feeder_id="F-1", version=version, name="城东一线", substation_id="SUB-1", area_id="A-1",
        rating_kva=Decimal(10_000), sections=parts,
    )  # fmt: skip


def fault(*, sections: tuple[str, ...] = (), fault_id: str = "FLT-1", at: datetime = NOW) -> Event:
    return FaultDetected(feeder_id="F-1", fault_id=fault_id, section_ids=sections, cause="lightning", detected_at=at)


def back(*, fault_id: str = "FLT-1", at: datetime = NOW + timedelta(hours=2)) -> Event:
    return SupplyRestored(feeder_id="F-1", fault_id=fault_id, restored_at=at)


def points_in(said: dict[str, Any]) -> list[str]:
    return [a["usage_point_id"] for a in said["affected"]["affected"]]


async def test_a_fault_names_the_affected_accounts_most_important_first_and_restoration_follows(house: House) -> None:
    await house.tell(profile("C-1", "UP-1"))
    await house.tell(profile("C-2", "UP-2", grade="grade-1"))
    await house.tell(profile("C-3", "UP-3"))
    await house.tell(feeder(("UP-1", "UP-2"), ("UP-3",)))
    assert await house.tell(fault(sections=("SEC-1",))) == "applied"
    [detected] = await house.said("fault-outage-detected")
    assert points_in(detected) == ["UP-2", "UP-1"]
    assert [a["account_id"] for a in detected["affected"]["affected"]] == ["ACC-C-2", "ACC-C-1"]
    assert await house.tell(back()) == "applied"
    [restored] = await house.said("supply-restored")
    assert restored["affected"] == detected["affected"]
    assert restored["outage_id"] == detected["outage_id"]


async def test_restoration_and_fault_before_their_feeder_wait_and_are_applied_when_it_comes(house: House) -> None:
    await house.tell(profile("C-1", "UP-1"))
    assert await house.tell(back()) == "waiting"
    assert await house.tell(fault()) == "waiting"
    assert await house.said("fault-outage-detected") == []
    await house.tell(feeder(("UP-1",)))
    assert [points_in(s) for s in await house.said("fault-outage-detected")] == [["UP-1"]]
    deadline = time.monotonic() + 20
    while not await house.said("supply-restored") and time.monotonic() < deadline:
        await Releaser(applier=house.applier).turn()
        await asyncio.sleep(0.1)
    assert [points_in(s) for s in await house.said("supply-restored")] == [["UP-1"]]
    assert await house.admin.fetchval("SELECT count(*) FROM outage.waiting") == 0


async def test_a_fault_told_twice_under_another_event_id_opens_one_outage(house: House) -> None:
    await house.tell(profile("C-1", "UP-1"))
    await house.tell(feeder(("UP-1",)))
    await house.tell(fault(), event_id="first")
    await house.tell(fault(), event_id="second")
    assert await house.tell(fault(), event_id="second") == "duplicate"
    assert len(await house.said("fault-outage-detected")) == 1


async def test_a_usage_point_whose_owner_comes_later_joins_with_a_new_set_version(house: House) -> None:
    await house.tell(profile("C-1", "UP-1"))
    await house.tell(feeder(("UP-1", "UP-2")))
    await house.tell(fault())
    await house.tell(profile("C-2", "UP-2", grade="special"))
    said = await house.said("fault-outage-detected")
    assert [(s["affected"]["set_version"], points_in(s)) for s in said] == [(1, ["UP-1"]), (2, ["UP-1", "UP-2"])]
    await house.tell(back())
    [restored] = await house.said("supply-restored")
    assert (restored["affected"]["set_version"], points_in(restored)) == (2, ["UP-1", "UP-2"])


async def test_a_set_of_more_than_a_thousand_points_travels_in_parts(house: House) -> None:
    points = tuple(f"UP-{n:04}" for n in range(1, 1502))
    await house.tell(profile("C-1", *points))
    await house.tell(feeder(points))
    await house.tell(fault())
    said = await house.said("fault-outage-detected")
    assert [(s["affected"]["part"], s["affected"]["parts"], len(points_in(s))) for s in said] == [
        (1, 2, 1000),
        (2, 2, 501),
    ]
    assert tuple(p for s in said for p in points_in(s)) == points


async def test_a_restoration_before_its_fault_began_is_a_dead_letter(house: House) -> None:
    await house.tell(feeder(("UP-1",)))
    await house.tell(fault())
    assert await house.tell(back(at=NOW - timedelta(seconds=1))) == "dead-lettered"
    assert await house.admin.fetchval("SELECT status FROM outage.outage") == "open"


# Over HTTP -------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def serving(app: FastAPI, port: int) -> AsyncIterator[None]:
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="warning"))
    task = asyncio.create_task(server.serve())
    while not server.started:
        assert not task.done(), "the server ended while starting"
        await asyncio.sleep(0.02)
    yield
    server.should_exit = True
    await task


@dataclass(kw_only=True)
class Edge:
    """Calls the served API as a person with a token of the development issuer."""

    session: aiohttp.ClientSession
    base: str
    key: ECKey
    issuer: str
    calls: int = 0

    async def call(self, person: str, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        self.calls += 1
        token = issue(key=self.key, issuer=self.issuer, audience="keyline", person_id=person)
        headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": f"call-{self.calls:08}"}
        async with self.session.request(method, self.base + path, json=body, headers=headers) as answer:
            return answer.status, await answer.json()


@pytest.fixture
async def edge(house: House) -> AsyncIterator[Edge]:
    key = ECKey.generate_key("P-256", {"kid": "test", "use": "sig"}, private=True)
    issuer_port, port = free_port(), free_port()
    issuer = f"http://127.0.0.1:{issuer_port}"
    settings = house.settings.model_copy(update={"oidc_issuer": issuer, "oidc_jwks_url": f"{issuer}/jwks.json"})
    issuer_app = build_issuer(key=key, issuer=issuer, audience="keyline", environment="test")
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(serving(issuer_app, issuer_port))
        await stack.enter_async_context(serving(build_app([SERVICE], settings=settings, role="api"), port))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        yield Edge(session=session, base=f"http://127.0.0.1:{port}/outage/v1", key=key, issuer=issuer)


def grant(person: str, role: str, kind: str, scope: str = "") -> AccessGrant:
    body = {
        "person_id": person,
        "role": role,
        "scope_kind": kind,
        "scope_id": scope,
        "valid_from": "2026-01-01T00:00:00Z",
    }
    return AccessGrant.model_validate_json(json.dumps(body))


async def people(house: House) -> None:
    """A dispatcher and a planner of area A-1, an analyst of all, a contact of customer C-1."""
    posts = (
        grant("P-dispatch", "dispatcher", "area", "A-1"),
        grant("P-plan", "planner", "area", "A-1"),
        grant("P-analyst", "analyst", "everything"),
    )
    await house.tell(PostAssigned(post_id="POST-1", version=1, grants=posts))
    contact = (grant("P-contact", "customer-contact", "owner", "C-1"),)
    await house.tell(EngagementsChanged(person_id="P-contact", version=1, grants=contact))


async def two_customers_without_supply(house: House) -> str:
    await people(house)
    await house.tell(profile("C-1", "UP-1"))
    await house.tell(profile("C-2", "UP-2", area="A-2"))
    await house.tell(feeder(("UP-1", "UP-2")))
    await house.tell(fault(at=NOW - timedelta(hours=1)))
    return await house.outage_id()


def proof(
    kind: type[MessageAccepted] | type[MessageDelivered], *, outage_id: str, customer: str, at: datetime
) -> Event:
    return kind(
        customer_id=customer, delivery_id=f"D-{customer}", cause_type="keyline.outage.fault-outage-detected.v1",
        cause_id="e-1", subject_id=outage_id, person_id="P-contact", channel="wechat", occurred_at=at,
    )  # fmt: skip


async def test_a_contact_sees_only_its_own_account_with_meter_words_and_proof_of_notice(
    house: House, edge: Edge
) -> None:
    outage_id = await two_customers_without_supply(house)
    await house.tell(LastGaspReceived(usage_point_id="UP-1", occurred_at=NOW - timedelta(hours=1)))
    for customer in ("C-1", "C-2"):
        for kind, at in ((MessageDelivered, NOW), (MessageAccepted, NOW - timedelta(seconds=2))):
            assert await house.tell(proof(kind, outage_id=outage_id, customer=customer, at=at)) == "applied"
    status, seen = await edge.call("P-contact", "GET", f"/outages/{outage_id}")
    assert (status, seen["affected_points"]) == (200, 1)
    assert [(p["account_id"], p["lost_at"]) for p in seen["affected"]] == [("ACC-C-1", "2026-06-15T01:00:00Z")]
    assert [(n["person_id"], n["accepted_at"], n["delivered_at"]) for n in seen["notices"]] == [
        ("P-contact", "2026-06-15T01:59:58Z", "2026-06-15T02:00:00Z")
    ]
    status, seen = await edge.call("P-analyst", "GET", f"/outages/{outage_id}")
    assert (status, len(seen["affected"]), len(seen["notices"])) == (200, 2, 2)


async def test_outages_and_customers_out_of_scope_are_not_found(house: House, edge: Edge) -> None:
    await people(house)
    await house.tell(profile("C-2", "UP-2", area="A-2"))
    await house.tell(feeder(("UP-2",)))
    await house.tell(fault())
    assert (await edge.call("P-contact", "GET", f"/outages/{await house.outage_id()}"))[0] == 404
    assert (await edge.call("P-contact", "GET", "/customers/C-2/outages"))[0] == 404
    assert await edge.call("P-contact", "GET", "/outages") == (200, [])
    assert (await edge.call("P-stranger", "GET", "/outages"))[0] == 403


async def test_a_dispatcher_estimates_restoration_once_supply_is_out_and_not_after(house: House, edge: Edge) -> None:
    path = f"/outages/{await two_customers_without_supply(house)}/estimate"
    later = {"expected_at": (NOW + timedelta(hours=3)).isoformat()}
    assert (await edge.call("P-contact", "POST", path, later))[0] == 403
    status, problem = await edge.call("P-dispatch", "POST", path, {"expected_at": NOW.isoformat()})
    assert (status, problem["field"]) == (422, "expected_at")
    assert (await edge.call("P-dispatch", "POST", path, later))[0] == 200
    [said] = await house.said("restoration-estimated")
    assert said["expected_at"] == "2026-06-15T05:00:00Z"
    await house.tell(back())
    assert (await edge.call("P-dispatch", "POST", path, later))[0] == 409


async def test_repeated_outages_and_reliability_are_counted_from_the_affected_points(house: House, edge: Edge) -> None:
    await two_customers_without_supply(house)
    await house.tell(back(at=NOW - timedelta(minutes=30)))
    await house.tell(fault(fault_id="FLT-2", at=NOW - timedelta(days=2)))
    await house.tell(back(fault_id="FLT-2", at=NOW - timedelta(days=2) + timedelta(hours=4)))
    await house.tell(fault(fault_id="FLT-3", at=NOW - timedelta(days=90)))
    await house.tell(back(fault_id="FLT-3", at=NOW - timedelta(days=89)))
    status, seen = await edge.call("P-contact", "GET", "/customers/C-1/outages")
    assert (status, seen["recent_count"], seen["recent_hours"], len(seen["outages"])) == (200, 2, 4.5, 3)
    status, found = await edge.call("P-analyst", "GET", "/reliability?month=2026-06")
    assert (status, found["users"], found["saifi"], found["saidi_hours"]) == (200, 2, 2.0, 4.5)
    assert found["asai"] == pytest.approx(1 - 4.5 / 720)


async def test_a_planned_outage_in_time_is_published_for_the_whole_feeder(house: House, edge: Edge) -> None:
    await two_customers_without_supply(house)
    plan = {"feeder_id": "F-1", "reason": "设备检修", "ends_at": (NOW + timedelta(days=9)).isoformat()}
    soon = {**plan, "starts_at": (NOW + timedelta(days=6)).isoformat()}
    status, problem = await edge.call("P-plan", "POST", "/planned-outages", soon)
    assert (status, problem["title"], problem["field"]) == (422, "notice-too-short", "starts_at")
    in_time = {**plan, "starts_at": (NOW + timedelta(days=8)).isoformat()}
    status, accepted = await edge.call("P-plan", "POST", "/planned-outages", in_time)
    assert status == 202
    for attempt in ("first", "again"):
        cause = Cause(id=attempt, source="test", type="publish")
        actor = Actor(person_id="system:outage")
        async with house.database.work(role="worker", cause=cause, actor=actor, scope=EVERYTHING) as work:
            await plans.publish(work, outage_id=accepted["outage_id"])
    [said] = await house.said("planned-outage-published")
    assert points_in(said) == ["UP-1", "UP-2"]
