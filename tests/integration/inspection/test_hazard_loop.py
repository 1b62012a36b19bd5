"""Inspection as its neighbours see it: events in, HTTP, tables and outbox, on a real Postgres and real tokens."""

import asyncio
import io
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import asyncpg
import pytest
import uvicorn
from fastapi import FastAPI
from joserfc.jwk import ECKey
from PIL import Image
from pydantic import SecretStr

from deploy.local.postgres import PostgresServer
from deploy.local.processes import free_port
from services.contracts.envelope import Event
from services.contracts.metering import EquipmentReadingRecorded
from services.contracts.notify import AccessGrant, EngagementsChanged, MessageDelivered, PostAssigned
from services.contracts.portrait import CustomerProfileChanged
from services.inspection.manifest import SERVICE
from services.kernel.app import build_app
from services.kernel.auth.dev_issuer import build_issuer, issue, load_key
from services.kernel.broker import Record
from services.kernel.consumer import Applier, Releaser
from services.kernel.jobs import JobRunner
from services.kernel.settings import KernelSettings
from services.kernel.work import Database
from tests.migrated import PASSWORD, dsn_of, empty_database

AUDIENCE = "keyline-tests"
SINCE = datetime(2020, 1, 1, tzinfo=UTC)


@dataclass(kw_only=True)
class House:
    """One database and the service's HTTP side; events are handed over one by one, as the poll loop does."""

    applier: Applier
    url: str
    issuer: str
    key: ECKey
    superuser_dsn: str
    session: aiohttp.ClientSession
    offsets: int = field(default=0)

    async def hear(self, event: Event, *, event_id: str | None = None) -> str:
        return await self._apply(event.TOPIC, event.TYPE, event.key, event.to_wire(), event_id)

    async def hear_deletion(self, kind: type[Event], key: str) -> str:
        return await self._apply(kind.TOPIC, kind.TYPE, key, None, None)

    async def _apply(self, topic: str, type_: str, key: str, value: bytes | None, event_id: str | None) -> str:
        self.offsets += 1
        headers = {
            "ce_specversion": "1.0", "ce_id": event_id or uuid4().hex, "ce_source": "tests", "ce_type": type_,
            "ce_time": datetime.now(UTC).isoformat(),
        }  # fmt: skip
        record = Record(
            topic=topic, partition=0, offset=self.offsets, key=key.encode(), value=value, headers=headers,
            timestamp_ms=0,
        )  # fmt: skip
        return await self.applier.apply(record)

    async def call(self, method: str, path: str, *, person: str, body: Any = None, **extra: Any) -> tuple[int, Any]:
        token = issue(key=self.key, issuer=self.issuer, audience=AUDIENCE, person_id=person)
        headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": uuid4().hex}
        async with self.session.request(
            method, f"{self.url}/inspection/v1{path}", json=body, headers=headers, **extra
        ) as answer:
            return answer.status, await answer.json(content_type=None)

    async def rectify(self, hazard_id: str, *, person: str, photo: bytes) -> tuple[int, Any]:
        form = aiohttp.FormData()
        form.add_field("note", "已更换 replaced")
        form.add_field("photo", photo, filename="a.jpg", content_type="image/jpeg")
        return await self.call("POST", f"/hazards/{hazard_id}/rectify", person=person, data=form)

    async def rows(self, sql: str, *arguments: Any) -> list[asyncpg.Record]:
        connection = await asyncpg.connect(self.superuser_dsn)
        try:
            return list(await connection.fetch(sql, *arguments))
        finally:
            await connection.close()

    async def said(self, topic: str) -> list[tuple[str, dict[str, Any]]]:
        """(what happened, body) of every event in the outbox, in order per key."""
        rows = await self.rows(
            "SELECT type, payload FROM inspection.outbox WHERE topic = $1 ORDER BY aggregateid, version", topic
        )
        return [(row["type"].split(".")[2], json.loads(row["payload"])) for row in rows]


@asynccontextmanager
async def _served(app: FastAPI) -> AsyncIterator[str]:
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="warning"))
    task = asyncio.create_task(server.serve())
    try:
        async with asyncio.timeout(30):
            while not server.started:  # noqa: ASYNC110
                await asyncio.sleep(0.02)  # uvicorn tells its start by this flag alone
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await task


@pytest.fixture
async def house(postgres: PostgresServer, tmp_path: Path) -> AsyncIterator[House]:
    name = await empty_database(postgres, SERVICE)
    key = load_key(tmp_path / "issuer.json")
    async with AsyncExitStack() as stack:
        issuer = "http://issuer.invalid"
        keys = await stack.enter_async_context(
            _served(build_issuer(key=key, issuer=issuer, audience=AUDIENCE, environment="test"))
        )
        settings = KernelSettings(
            environment="test", database_host=postgres.host, database_port=postgres.port, database_name=name,
            database_password=SecretStr(PASSWORD), oidc_issuer=issuer, oidc_audience=AUDIENCE,
            oidc_jwks_url=f"{keys}/jwks.json",
        )  # fmt: skip
        database = Database(service="inspection", metadata=SERVICE.metadata, settings=settings)
        stack.push_async_callback(database.close)
        url = await stack.enter_async_context(_served(build_app([SERVICE], settings=settings, role="api")))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        opened = House(
            applier=Applier(service=SERVICE, database=database), url=url, issuer=issuer, key=key,
            superuser_dsn=dsn_of(postgres, name), session=session,
        )  # fmt: skip
        await _staff(opened)
        yield opened


async def _staff(house: House) -> None:
    inspectors = tuple(
        AccessGrant(person_id=p, role="inspector", scope_kind="area", scope_id="U-1", valid_from=SINCE)
        for p in ("P-ins-1", "P-ins-2", "P-ins-3")
    )
    await house.hear(PostAssigned(post_id="POST-1", version=1, grants=inspectors))
    for person, customer in (("P-own", "C-1"), ("P-foreign", "C-2")):
        grant = AccessGrant(
            person_id=person, role="customer-electrician", scope_kind="owner", scope_id=customer, valid_from=SINCE
        )
        await house.hear(EngagementsChanged(person_id=person, version=1, grants=(grant,)))


def _profile(*, version: int = 1, **changes: Any) -> CustomerProfileChanged:
    facts: dict[str, Any] = {
        "customer_id": "C-1", "version": version, "name": "钢铁厂 Steel plant", "key_account": True,
        "accounts": [{
            "account_id": "A-1", "service_area_id": "U-1", "contract_capacity_kva": "5000", "voltage_kv": "10",
            "importance_grade": "none", "dual_supply": False,
        }],
        "sites": [{"site_id": "S-1", "name": "一号配电室 Room 1", "asset_ids": ["TX-1"]}],
        "usage_points": [{"usage_point_id": "UP-1", "account_id": "A-1", "site_id": "S-1"}],
        "importance_grade": "none", **changes,
    }  # fmt: skip
    return CustomerProfileChanged.model_validate_json(json.dumps(facts))


def _oil(values: list[float], *, hour: int = 0) -> EquipmentReadingRecorded:
    return EquipmentReadingRecorded(
        asset_id="TX-1", quantity="top-oil-temperature", unit="degC",
        measured_from=datetime(2026, 5, 1, tzinfo=UTC) + timedelta(hours=hour), step_minutes=15,
        values=tuple(values), synthetic=True,
    )  # fmt: skip


def _visit(*, inspectors: tuple[str, ...] = ("P-ins-1", "P-ins-2"), interlock: bool = False) -> dict[str, Any]:
    return {
        "site_id": "S-1", "inspector_ids": list(inspectors),
        "items": [
            {"code": "I21", "value": interlock}, {"code": "T02", "value": "none", "asset_id": "TX-1"},
            {"code": "D01", "value": 62.5, "asset_id": "TX-1"},
        ],
    }  # fmt: skip


def _photo() -> bytes:
    exif = Image.Exif()
    exif[0x010E] = "a secret place"
    target = io.BytesIO()
    Image.new("RGB", (320, 200), (10, 120, 40)).save(target, format="JPEG", exif=exif)
    return target.getvalue()


async def test_a_failed_item_becomes_a_hazard_that_is_rectified_verified_by_another_and_closed(house: House) -> None:
    assert await house.hear(_profile()) == "applied"
    status, submitted = await house.call("POST", "/visits", person="P-ins-1", body=_visit())
    assert (status, submitted["items_passed"], submitted["items_failed"]) == (201, 2, 1)
    [hazard_id] = submitted["hazard_ids"]
    plan = (await house.rows("SELECT due_on, reason, last_done_on FROM inspection.inspection_plan"))[0]
    assert (plan["due_on"], plan["reason"]) == (plan["last_done_on"], "hazard")

    assert (await house.call("POST", f"/hazards/{hazard_id}/close", person="P-ins-3", body={}))[0] == 409
    assert (await house.rectify(hazard_id, person="P-own", photo=b"no picture"))[0] == 422
    assert (await house.rectify(hazard_id, person="P-foreign", photo=_photo()))[0] == 404
    status, rectified = await house.rectify(hazard_id, person="P-own", photo=_photo())
    assert (status, rectified["status"], rectified["version"]) == (200, "rectified", 2)

    status, problem = await house.call("POST", f"/hazards/{hazard_id}/verify", person="P-ins-1", body={})
    assert (status, problem["type"]) == (403, "urn:keyline:problem:self-approval")
    assert (await house.call("POST", f"/hazards/{hazard_id}/verify", person="P-own", body={}))[0] == 403
    assert (await house.call("POST", f"/hazards/{hazard_id}/verify", person="P-ins-3", body={}))[0] == 200
    assert (await house.call("POST", f"/hazards/{hazard_id}/close", person="P-ins-3", body={}))[0] == 200

    _, detail = await house.call("GET", f"/hazards/{hazard_id}", person="P-own")
    assert [step["step"] for step in detail["steps"]] == ["found", "rectify", "verify", "close"]
    said = await house.said("inspection-hazards")
    assert [(what, body["version"]) for what, body in said] == [
        ("hazard-found", 1), ("hazard-rectified", 2), ("hazard-verified", 3), ("hazard-closed", 4),
    ]  # fmt: skip
    assert said[0][1] | {"grade": "critical", "account_id": "A-1", "item_code": "I21"} == said[0][1]
    plan = (await house.rows("SELECT due_on, reason, last_done_on FROM inspection.inspection_plan"))[0]
    assert plan["reason"] == "cycle"
    assert (plan["due_on"] - plan["last_done_on"]).days in (365, 366)


async def test_the_photo_is_given_as_an_attachment_without_exif_to_its_owner_alone(house: House) -> None:
    await house.hear(_profile())
    _, submitted = await house.call("POST", "/visits", person="P-ins-1", body=_visit())
    [hazard_id] = submitted["hazard_ids"]
    await house.rectify(hazard_id, person="P-own", photo=_photo())
    _, detail = await house.call("GET", f"/hazards/{hazard_id}", person="P-own")
    path = f"/hazards/{hazard_id}/photos/{detail['steps'][-1]['photo_id']}"
    assert (await house.call("GET", path, person="P-foreign"))[0] == 404
    token = issue(key=house.key, issuer=house.issuer, audience=AUDIENCE, person_id="P-own")
    async with house.session.get(
        f"{house.url}/inspection/v1{path}", headers={"Authorization": f"Bearer {token}"}
    ) as answer:
        jpeg = await answer.read()
        assert answer.headers["content-disposition"].startswith("attachment")
        assert answer.headers["x-content-type-options"] == "nosniff"
    assert b"secret" not in jpeg
    with Image.open(io.BytesIO(jpeg)) as image:
        assert (image.format, image.size) == ("JPEG", (320, 200))


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"inspector_ids": ["P-ins-1"]}, "inspector_ids"),
        ({"inspector_ids": ["P-ins-1", "P-ins-1"]}, "inspector_ids"),
        ({"items": [{"code": "I21", "value": True}]}, "items"),
        ({"items": [{"code": "X99", "value": True}]}, "items.0.code"),
        ({"items": [{"code": "I21", "value": "broken"}]}, "items.0.value"),
    ],
)
async def test_an_incomplete_inspection_is_refused_whole(house: House, change: dict[str, Any], field: str) -> None:
    await house.hear(_profile())
    status, problem = await house.call("POST", "/visits", person="P-ins-1", body=_visit() | change)
    assert (status, problem["field"]) == (422, field)
    assert await house.rows("SELECT 1 FROM inspection.visit UNION ALL SELECT 1 FROM inspection.hazard") == []


async def test_a_stuck_measurement_opens_one_suspicion_until_an_inspector_decides(house: House) -> None:
    assert await house.hear(_oil([20.5] * 60)) == "waiting"
    await house.hear(_profile())
    assert await Releaser(applier=house.applier).turn() == 1
    assert await house.hear(_oil([20.5] * 60)) == "applied"  # told a second time under another id
    assert await house.hear(_oil([21.0, *[22.0] * 60], hour=15)) == "applied"  # a second frozen run
    [row] = await house.rows("SELECT hazard_id, suspected, status, item_code FROM inspection.hazard")
    assert (row["suspected"], row["status"], row["item_code"]) == (True, "found", "M01")

    assert (await house.rectify(row["hazard_id"], person="P-own", photo=_photo()))[0] == 409
    status, _ = await house.call(
        "POST", f"/hazards/{row['hazard_id']}/void", person="P-ins-3", body={"reason": "传感器检修 sensor in repair"}
    )
    assert status == 200
    assert await house.hear(_oil([22.0] * 4, hour=31)) == "applied"  # the voided run goes on
    assert len(await house.rows("SELECT 1 FROM inspection.hazard")) == 1
    assert await house.hear(_oil([23.0] * 60, hour=33)) == "applied"
    assert [what for what, _ in await house.said("inspection-hazards")].count("hazard-found") == 2


async def test_a_confirmed_limit_violation_moves_the_due_date(house: House) -> None:
    await house.hear(_profile())
    await house.hear(_oil([84.0, 95.5]))  # synthetic
    [row] = await house.rows("SELECT hazard_id, grade FROM inspection.hazard WHERE suspected AND item_code = 'D01'")
    assert row["grade"] == "critical"
    assert (await house.rows("SELECT reason FROM inspection.inspection_plan"))[0]["reason"] == "cycle"
    status, confirmed = await house.call("POST", f"/hazards/{row['hazard_id']}/confirm", person="P-ins-1", body={})
    assert (status, confirmed["status"], confirmed["suspected"]) == (200, "confirmed", False)
    assert (await house.rows("SELECT reason FROM inspection.inspection_plan"))[0]["reason"] == "hazard"


async def test_class_and_attention_shorten_the_cycle_and_a_left_customer_has_none(house: House) -> None:
    await house.hear(_profile())
    await house.hear(_profile(version=2, classes=["high-service"]))
    await house.hear(_profile(version=3, classes=["high-reliability"], cycle_factor="0.5"))
    await house.hear(_profile(version=4, classes=["high-reliability"], cycle_factor="0.5", attention_level=3))
    assert await house.hear(_profile(version=2)) == "outdated"
    said = [body for what, body in await house.said("inspection-visits") if what == "inspection-scheduled"]
    assert [body["reason"] for body in said] == ["cycle", "class", "attention"]
    due = [date.fromisoformat(body["due_on"]) for body in said]
    assert due[0] > due[1] > due[2]
    status, listed = await house.call("GET", "/sites/due", person="P-ins-1")
    assert (status, [site["site_id"] for site in listed]) == (200, ["S-1"])

    assert await house.hear_deletion(CustomerProfileChanged, "C-1") == "applied"
    assert (await house.call("GET", "/sites/due", person="P-ins-1"))[1] == []
    assert await house.hear(_oil([20.5])) == "waiting"


async def test_a_hazard_is_notified_when_its_own_message_first_arrives(house: House) -> None:
    await house.hear(_profile())
    _, submitted = await house.call("POST", "/visits", person="P-ins-1", body=_visit())
    [hazard_id] = submitted["hazard_ids"]

    def delivered(cause: str, delivery_id: str) -> MessageDelivered:
        return MessageDelivered(
            customer_id="C-1", delivery_id=delivery_id, cause_type=cause, cause_id="E-1", subject_id=hazard_id,
            person_id="P-own", channel="wechat", occurred_at=datetime.now(UTC),
        )  # fmt: skip

    await house.hear(delivered("keyline.outage.fault-outage-detected.v1", "D-0"))
    assert (await house.call("GET", f"/hazards/{hazard_id}", person="P-own"))[1]["status"] == "found"
    await house.hear(delivered("keyline.inspection.hazard-found.v1", "D-1"))
    await house.hear(delivered("keyline.inspection.hazard-found.v1", "D-2"))
    _, detail = await house.call("GET", f"/hazards/{hazard_id}", person="P-own")
    assert (detail["status"], detail["version"], detail["possible_steps"]) == ("notified", 2, ["void", "rectify"])
    assert (await house.rectify(hazard_id, person="P-own", photo=_photo()))[1]["status"] == "rectified"


async def _run_jobs(house: House) -> None:
    """Let every job of the service run once more, however short ago its last run was."""
    await house.rows("DELETE FROM inspection.job_lease")
    runner = JobRunner(jobs=SERVICE.jobs, database=house.applier.database, holder="tests")
    running = asyncio.create_task(runner.run())
    async with asyncio.timeout(10):
        finished = "SELECT 1 FROM inspection.job_lease WHERE last_finished_at IS NOT NULL"
        while not await house.rows(finished):  # noqa: ASYNC110  # the table alone tells it
            await asyncio.sleep(0.05)
    runner.running = False
    await running


async def test_a_hazard_past_its_deadline_is_said_overdue_once_and_one_in_time_is_not(house: House) -> None:
    await house.hear(_profile())
    body = _visit()
    body["items"].append({"code": "I21", "value": False, "asset_id": "TX-1"})
    await house.call("POST", "/visits", person="P-ins-1", body=body)
    late, _ = await house.rows("SELECT hazard_id FROM inspection.hazard ORDER BY asset_id NULLS FIRST")
    await house.rows(
        "UPDATE inspection.hazard SET deadline = now() - interval '1 minute' WHERE hazard_id = $1", late["hazard_id"]
    )
    for _ in range(2):
        await _run_jobs(house)
    said = [body for what, body in await house.said("inspection-hazards") if what == "hazard-overdue"]
    assert [(body["hazard_id"], body["version"], body["status"]) for body in said] == [(late["hazard_id"], 2, "found")]


async def test_a_body_beyond_the_routes_limit_is_refused_and_changes_nothing(house: House) -> None:
    await house.hear(_profile())
    _, submitted = await house.call("POST", "/visits", person="P-ins-1", body=_visit())
    [hazard_id] = submitted["hazard_ids"]
    assert (await house.rectify(hazard_id, person="P-own", photo=b"0" * 8_600_000))[0] == 413
    assert (await house.rectify(hazard_id, person="P-own", photo=b"0" * 8_100_000))[0] == 422
    assert (await house.rows("SELECT status FROM inspection.hazard"))[0]["status"] == "found"


async def test_the_door_says_readings_on_their_topic_and_takes_them_from_a_publisher_alone(house: House) -> None:
    grant = AccessGrant(
        person_id="P-door", role="data-publisher", scope_kind="everything", scope_id="", valid_from=SINCE
    )
    await house.hear(EngagementsChanged(person_id="P-door", version=1, grants=(grant,)))
    reading: dict[str, Any] = {"type": EquipmentReadingRecorded.TYPE, "data": _oil([20.5]).model_dump(mode="json")}
    assert (await house.call("POST", "/doors/metering-equipment", person="P-own", body=[reading]))[0] == 403
    broken = {**reading, "data": {**reading["data"], "unit": "K"}}
    status, problem = await house.call("POST", "/doors/metering-equipment", person="P-door", body=[broken])
    assert (status, problem["field"]) == (422, "0.data.unit")
    status, answer = await house.call("POST", "/doors/metering-equipment", person="P-door", body=[reading])
    assert (status, answer) == (202, {"accepted": 1})
    [(what, body)] = await house.said("metering-equipment")
    assert (what, body["asset_id"]) == ("equipment-reading-recorded", "TX-1")
