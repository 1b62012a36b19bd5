"""Outage on an empty schema of a real Postgres, told by records as the poll loop would, served over HTTP."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import aiohttp
import asyncpg
import uvicorn
from fastapi import FastAPI
from joserfc.jwk import ECKey

from services.contracts.envelope import Event
from services.contracts.grid import FaultDetected, FeederChanged, FeederSection, SupplyRestored
from services.contracts.notify import AccessGrant, EngagementsChanged, MessageAccepted, MessageDelivered, PostAssigned
from services.contracts.portrait import CustomerProfileChanged
from services.kernel.auth.dev_issuer import issue
from services.kernel.broker import Record
from services.kernel.consumer import Applier, Releaser
from services.kernel.settings import KernelSettings
from services.kernel.work import Database

NOW = datetime(2026, 6, 15, 2, 0, tzinfo=UTC)


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

    async def delete(self, event: type[Event], *, key: str) -> str:
        self.told += 1
        record = Record(
            topic=event.TOPIC, partition=0, offset=self.told, key=event.key_of(key).encode(), value=None,
            headers={"ce_type": event.TYPE, "ce_id": f"e-{self.told}", "ce_source": "test"}, timestamp_ms=0,
        )  # fmt: skip
        return await self.applier.apply(record)

    async def said(self, type_: str) -> list[dict[str, Any]]:
        query = "SELECT payload FROM outage.outbox WHERE type = $1 ORDER BY seq"
        return [json.loads(r["payload"]) for r in await self.admin.fetch(query, f"keyline.outage.{type_}.v1")]

    async def outage_id(self) -> str:
        return str(await self.admin.fetchval("SELECT outage_id FROM outage.outage"))


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
    """One message that names accounts of several customers: it is said once for each of them."""
    return kind(
        customer_id=customer, delivery_id="D-1", cause_type="keyline.outage.fault-outage-detected.v1",
        cause_id="e-1", subject_id=outage_id, person_id="P-contact", channel="wechat", occurred_at=at,
    )  # fmt: skip
