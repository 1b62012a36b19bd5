"""Takes a scenario's steps in the house and looks whether what must follow followed."""

import asyncio
import io
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import aiohttp
from PIL import Image

from services.contracts.registry import BY_TYPE
from tests.scenarios.house import ScenarioHouse
from tests.scenarios.language import Scenario, Unreadable, Words, fits, things_of

PATIENCE_S = 20.0
_UNITS = {"minute": timedelta(minutes=1), "hour": timedelta(hours=1), "day": timedelta(days=1)}


@dataclass(kw_only=True)
class Run:
    """One scenario under way; `words.kept` carries what answers gave from step to step."""

    house: ScenarioHouse
    scenario: Scenario
    words: Words
    begun_at: int = 0
    trail: list[str] = field(default_factory=list)

    async def play(self) -> None:
        for part in (self.scenario.given, self.scenario.when):
            for step in part:
                await self._step(step)
            await self.house.settle()
        for check in self.scenario.then:
            await self._check(check)

    def _read(self, value: Any) -> Any:
        return self.words.read(value, now=self.house.clock.now())

    async def _step(self, step: Mapping[str, Any]) -> None:
        kinds = {
            "customer": self._customer, "person": self._person, "staff": self._staff, "event": self._event,
            "http": self._http, "advance": self._advance, "feeder": self._feeder,
        }  # fmt: skip
        for kind, take in kinds.items():
            if kind in step:
                if kind in ("http", "advance"):  # what was told before has its effect; events find their own order
                    await self.house.settle()
                await take(step)
                return
        raise Unreadable(f"{self.scenario.name}: a step is one of {', '.join(kinds)}, not {step}")

    async def _customer(self, step: Mapping[str, Any]) -> None:
        """An archive of one account, one site, one usage point and one transformer: C-1 has A-1, S-1, UP-1, T-1."""
        own = things_of(step["customer"])
        terms = {
            "valid_from": "2020-01-01", "industry_class": "C3130", "supply_nature": "industrial", "voltage_kv": "10",
            "contract_capacity_kva": "1000", "operating_capacity_kva": "1000", "tariff_type": "two-part",
            **step.get("terms", {}),
        }  # fmt: skip
        body = {
            "customer_id": own["customer_id"], "version": step.get("version", 1), "name": f"客户 {step['customer']}",
            "former_names": [], "group_id": None, "successions": [],
            "accounts": [{"account_id": own["account_id"], "service_area_id": "U-1", "terms": [terms]}],
            "sites": [
                {"site_id": own["site_id"], "name": "配电室", "address": "示例路 1 号", "asset_ids": [own["asset_id"]]}
            ],
            "usage_points": [{
                "usage_point_id": own["usage_point_id"], "account_id": own["account_id"], "site_id": own["site_id"],
                "feeder_ids": [step.get("feeder", "F-1")],
            }],
        }  # fmt: skip
        await self.house.tell(self.words.event("marketing.customer-changed", body, now=self.house.clock.now()))

    async def _person(self, step: Mapping[str, Any]) -> None:
        person, role = step["person"], step.get("role", "customer-electrician")
        since = "now - 30 days"
        engagements = [
            {"engagement_id": f"{person}-{n}", "customer_id": c, "account_ids": [], "role": role, "valid_from": since}
            for n, c in enumerate(step["of"])
        ]
        openid = self._openid(person)
        body = {"person_id": person, "version": 1, "name": "王某", "openid": openid, "engagements": engagements}
        body |= {"phone": None, "email": None}
        await self.house.follow(openid)
        await self.house.tell(self.words.event("marketing.person-changed", body, now=self.house.clock.now()))

    def _openid(self, person: str) -> str:
        return f"openid_{person}_{self.words.own}".replace(".", "_").replace("-", "_")

    async def _staff(self, step: Mapping[str, Any]) -> None:
        """A person at a post of their own over unit U-1, which is the service area of every customer."""
        now = self.house.clock.now()
        unit = {"unit_id": "U-1", "version": 1, "name": "示例供电所", "parent_id": None}
        holding = {"person_id": step["staff"], "valid_from": "now - 30 days"}
        post = {
            "post_id": f"PO-{step['staff'].replace('-', '')}", "version": 1, "name": step["role"], "unit_id": "U-1",
            "role": step["role"], "customer_ids": [], "holdings": [holding],
        }  # fmt: skip
        await self.house.follow(self._openid(step["staff"]))
        contact = {
            "person_id": step["staff"], "version": 1, "name": "李某", "openid": self._openid(step["staff"]),
            "engagements": [], "phone": None, "email": None,
        }  # fmt: skip
        for name, body in (("unit-changed", unit), ("post-changed", post)):
            await self.house.tell(self.words.event(f"organisation.{name}", body, now=now))
        await self.house.tell(self.words.event("marketing.person-changed", contact, now=now))

    async def _feeder(self, step: Mapping[str, Any]) -> None:
        points = [things_of(c)["usage_point_id"] for c in step["customers"]]
        sections = [{"section_id": f"SE-{step['feeder'].replace('-', '')}", "usage_point_ids": points}]
        body = {"feeder_id": step["feeder"], "version": 1, "area_id": "U-1", "sections": sections}
        await self.house.tell(self.words.event("grid.feeder-changed", body, now=self.house.clock.now()))

    async def _event(self, step: Mapping[str, Any]) -> None:
        now = self.house.clock.now()
        for _ in range(step.get("times", 1)):
            await self.house.tell(self.words.event(step["event"], step.get("with", {}), now=now, of=step.get("of")))

    async def _http(self, step: Mapping[str, Any]) -> None:
        status, answer = await self._call(step)
        deadline = time.monotonic() + PATIENCE_S
        while "until" in step and not fits(answer, self._read(step["until"])):
            assert time.monotonic() < deadline, f"{step['http']} is not so: {step['until']}\nseen: {_short(answer)}"
            await asyncio.sleep(0.2)
            status, answer = await self._call(step)
        wanted = step.get("status", 200)
        assert status == wanted, f"{step['http']} as {step['as']}: {status} instead of {wanted}: {answer}"
        if "is" in step:
            assert fits(answer, self._read(step["is"])), f"{step['http']}: {answer}"
        for name, path in step.get("keep", {}).items():
            value = answer
            for part in str(path).split("."):
                value = value[int(part)] if isinstance(value, list) else value[part]
            self.words.kept[name] = str(value)

    async def _call(self, step: Mapping[str, Any]) -> tuple[int, Any]:
        method, path = self._read(step["http"]).split(" ", 1)
        what: dict[str, Any] = {}
        if "form" in step:
            form = aiohttp.FormData()
            for name, value in self._read(step["form"]).items():
                if value == "photo":
                    form.add_field(name, _photo(), filename="photo.jpg", content_type="image/jpeg")
                else:
                    form.add_field(name, value)
            what["data"] = form
        elif method != "GET":
            what["json"] = self._read(step.get("body", {}))
        return await self.house.call(method, path, person=self._read(step["as"]), **what)

    async def _advance(self, step: Mapping[str, Any]) -> None:
        count, unit = step["advance"].split(" ")
        self.house.clock.advance(int(count) * _UNITS[unit.rstrip("s")])

    async def _check(self, check: Mapping[str, Any]) -> None:
        kinds: dict[str, Callable[[Mapping[str, Any]], Awaitable[tuple[bool, Any]]]] = {
            "event": self._see_event, "never": self._see_never, "http": self._see_answer, "table": self._see_rows,
            "messages": self._see_messages,
        }  # fmt: skip
        kind = next((kind for kind in kinds if kind in check), None)
        if kind is None:
            raise Unreadable(f"{self.scenario.name}: a check is one of {', '.join(kinds)}, not {check}")
        look = kinds[kind]
        deadline = time.monotonic() + PATIENCE_S
        holds, seen = await look(check)
        while not holds and kind != "never" and time.monotonic() < deadline:
            await asyncio.sleep(0.2)
            holds, seen = await look(check)
        assert holds, f"{self.scenario.name}: not so: {self._read(dict(check))}\nseen: {_short(seen)}"

    def _said(self, name: str, where: Any) -> list[dict[str, Any]]:
        type_ = f"keyline.{name}.v1"
        if type_ not in BY_TYPE:
            raise Unreadable(f"{self.scenario.name}: no event {name}")
        told = self.house.said[self.begun_at :]
        return [s.body for s in told if s.type == type_ and fits(s.body, self._read(where))]

    async def _see_event(self, check: Mapping[str, Any]) -> tuple[bool, Any]:
        """With `is`: the newest one is so. With `times`: as often as that."""
        found = self._said(check["event"], check.get("where", {}))
        if "times" in check:
            return len(found) == check["times"], found
        return bool(found) and fits(found[-1], self._read(check.get("is", {}))), found[-1:]

    async def _see_never(self, check: Mapping[str, Any]) -> tuple[bool, Any]:
        await self.house.settle()
        found = self._said(check["never"], check.get("where", {}))
        return not found, found

    async def _see_answer(self, check: Mapping[str, Any]) -> tuple[bool, Any]:
        status, answer = await self._call(check)
        absent = [name for name in check.get("without", []) if name in json.dumps(answer)]
        return status == check.get("status", 200) and fits(
            answer, self._read(check.get("is", {}))
        ) and not absent, answer

    async def _see_rows(self, check: Mapping[str, Any]) -> tuple[bool, Any]:
        found = [r for r in await self.house.rows(check["table"]) if fits(r, self._read(check.get("where", {})))]
        if "times" in check:
            return len(found) == check["times"], found
        return bool(found) and all(fits(r, self._read(check["is"])) for r in found), found

    async def _see_messages(self, check: Mapping[str, Any]) -> tuple[bool, Any]:
        found = await self.house.messages(self._openid(check["messages"]))
        texts = [json.dumps(m, ensure_ascii=False) for m in found]
        wanted = [self._read(word) for word in check.get("about", [])]
        about = [t for t in texts if all(word in t for word in wanted)]
        return len(about) == check.get("times", 1), texts


def _photo() -> bytes:
    target = io.BytesIO()
    Image.new("RGB", (64, 48), (10, 120, 40)).save(target, format="JPEG")
    return target.getvalue()


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) < 3_000 else text[:3_000] + "..."
