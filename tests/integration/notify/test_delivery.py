"""From events of the other services to messages at the provider, on a real database."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from services.contracts.inspection import HazardFound
from services.contracts.marketing import Engagement, PersonChanged
from services.contracts.organisation import Holding, PostChanged, UnitChanged
from services.contracts.outage import Affected, AffectedPart, FaultOutageDetected, OutageSupplyRestored
from services.contracts.portrait import CustomerProfileChanged, CustomerReclassified, ProfileAccount
from services.kernel.work import EVERYTHING, Actor, Cause
from services.notify.directory.persons import openid_of
from tests.integration.notify.house import NotifyHouse

NOW = datetime.now(UTC)
YEAR = NOW - timedelta(days=300)


def person(person_id: str, *customers: str, openid: str | None = None, version: int = 1) -> PersonChanged:
    return PersonChanged(
        person_id=person_id, version=version, name="某联系人", phone="13800005678", openid=openid,
        engagements=tuple(
            Engagement(engagement_id=f"E-{person_id}-{c}", customer_id=c, role="customer-contact", valid_from=YEAR)
            for c in customers
        ),
    )  # fmt: skip


def profile(customer_id: str, *accounts: str, area: str = "east-1") -> CustomerProfileChanged:
    return CustomerProfileChanged(
        customer_id=customer_id, version=1, name=f"客户{customer_id}", key_account=True,
        accounts=tuple(
            ProfileAccount(
                account_id=a, service_area_id=area, contract_capacity_kva=Decimal(1000), voltage_kv=Decimal(10),
                importance_grade="none", dual_supply=False,
            )
            for a in accounts
        ),
        sites=(), usage_points=(), importance_grade="none",
    )  # fmt: skip


def part(number: int, of: int, *affected: tuple[str, str]) -> AffectedPart:
    return AffectedPart(
        set_id="S-1", set_version=1, part=number, parts=of,
        affected=tuple(Affected(customer_id=c, account_id=a, usage_point_id=f"U-{a}") for c, a in affected),
    )  # fmt: skip


def fault(affected: AffectedPart) -> FaultOutageDetected:
    return FaultOutageDetected(outage_id="O-1", feeder_id="F-1", fault_id="X-1", detected_at=NOW, affected=affected)


def restored(affected: AffectedPart) -> OutageSupplyRestored:
    return OutageSupplyRestored(
        outage_id="O-1", feeder_id="F-1", fault_id="X-1", detected_at=NOW, restored_at=NOW, affected=affected
    )


def hazard(customer_id: str = "C-1", *, suspected: bool = False) -> HazardFound:
    return HazardFound(
        hazard_id="H-1", version=1, customer_id=customer_id, account_id="A-1", site_id="S-1", item_code="oil-level",
        grade="serious", status="found", suspected=suspected, finding="变压器油位低", deadline=NOW + timedelta(days=30),
        occurred_at=NOW,
    )  # fmt: skip


def bodies(rows: list[Any]) -> list[dict[str, Any]]:
    return [json.loads(r["body"]) for r in rows]


async def test_an_outage_in_two_parts_gives_a_person_one_message_that_names_all_their_accounts(
    house: NotifyHouse,
) -> None:
    await house.hear(
        profile("C-1", "A-1", "A-2"), profile("C-2", "B-1"), person("P-1", "C-1", "C-2", openid="openid-1")
    )
    await house.hear(fault(part(1, 2, ("C-1", "A-1"), ("C-2", "B-1"))))
    assert await house.send_due() == 0
    await house.hear(fault(part(2, 2, ("C-1", "A-2"))))
    assert await house.send_due() == 1
    assert [m["data"]["character_string2"]["value"] for m in house.wechat.sent] == ["A-1,A-2,B-1"]
    said = bodies(await house.said("message-accepted"))
    assert sorted((s["customer_id"], tuple(s["account_ids"])) for s in said) == [
        ("C-1", ("A-1", "A-2")), ("C-2", ("B-1",)),
    ]  # fmt: skip


async def test_without_wechat_the_parts_of_an_outage_stand_in_one_inbox_message(house: NotifyHouse) -> None:
    await house.hear(profile("C-1", "A-1", "A-2"), person("P-1", "C-1"))
    await house.hear(fault(part(1, 2, ("C-1", "A-1"))), fault(part(2, 2, ("C-1", "A-2"))))
    told = await house.rows("SELECT channel FROM notify.delivery")
    assert [r["channel"] for r in told] == ["inbox"]
    said = bodies(await house.said("message-delivered"))
    assert [s["account_ids"] for s in said] == [["A-1"], ["A-2"]] and len({s["delivery_id"] for s in said}) == 1


async def test_the_same_event_again_and_under_another_id_sends_nothing_more(house: NotifyHouse) -> None:
    await house.hear(profile("C-1", "A-1"), person("P-1", "C-1", openid="openid-1"))
    event = fault(part(1, 1, ("C-1", "A-1")))
    assert await house.hear(event, event, event_id="one") == ["applied", "duplicate"]
    await house.hear(event)
    await house.send_due()
    await house.hear(event)
    await house.send_due()
    assert len(house.wechat.sent) == 1


async def test_restoration_follows_to_those_told_and_not_to_who_came_later(house: NotifyHouse) -> None:
    await house.hear(profile("C-1", "A-1"), person("P-1", "C-1", openid="openid-1"))
    await house.hear(fault(part(1, 1, ("C-1", "A-1"))))
    await house.hear(person("P-2", "C-1", openid="openid-2"), restored(part(1, 1, ("C-1", "A-1"))))
    assert [await house.send_due() for _ in range(3)] == [1, 1, 0]
    assert [(m["touser"], m["template_id"]) for m in house.wechat.sent] == [
        ("openid-1", "KEYLINE_FAULT_OUTAGE"), ("openid-1", "KEYLINE_SUPPLY_RESTORED"),
    ]  # fmt: skip


async def test_an_outage_of_long_ago_is_kept_with_the_reason_and_told_to_nobody(house: NotifyHouse) -> None:
    await house.hear(profile("C-1", "A-1"), person("P-1", "C-1", openid="openid-1"))
    old = {"detected_at": NOW - timedelta(days=40)}
    await house.hear(
        fault(part(1, 1, ("C-1", "A-1"))).model_copy(update=old),
        restored(part(1, 1, ("C-1", "A-1"))).model_copy(update=old),
    )
    assert await house.send_due() == 0
    kept = await house.rows("SELECT event_class, state, reason FROM notify.delivery")
    assert [tuple(r) for r in kept] == [("fault-outage", "suppressed", "older-than-class-allows")]


async def test_a_busy_provider_is_asked_again_under_the_same_message_id(house: NotifyHouse) -> None:
    await house.hear(profile("C-1", "A-1"), person("P-1", "C-1", openid="openid-1"), fault(part(1, 1, ("C-1", "A-1"))))
    house.wechat.errors = [-1]
    await house.send_due()
    [row] = await house.rows("SELECT state, attempts, next_attempt_at > now() AS later FROM notify.delivery")
    assert (row["state"], row["attempts"], row["later"]) == ("pending", 1, True)
    await house.rows("UPDATE notify.delivery SET next_attempt_at = now() - interval '1 second'")
    await house.send_due()
    [row] = await house.rows("SELECT state, attempts FROM notify.delivery")
    assert (row["state"], row["attempts"], len(house.wechat.sent)) == ("accepted", 2, 1)


async def test_who_blocked_us_finds_the_message_in_the_inbox_and_the_failure_is_said(house: NotifyHouse) -> None:
    await house.hear(profile("C-1", "A-1"), person("P-1", "C-1", openid="openid-1"), fault(part(1, 1, ("C-1", "A-1"))))
    house.wechat.errors = [43004]
    await house.send_due()
    rows = await house.rows("SELECT channel, state, reason FROM notify.delivery ORDER BY channel")
    assert [(r["channel"], r["state"]) for r in rows] == [("inbox", "delivered"), ("wechat", "failed")]
    [failed] = bodies(await house.said("message-failed"))
    assert "43004" in failed["reason"]
    assert [d["channel"] for d in bodies(await house.said("message-delivered"))] == ["inbox"]


async def test_a_message_whose_sender_died_is_taken_up_when_its_lease_ends(house: NotifyHouse) -> None:
    await house.hear(profile("C-1", "A-1"), person("P-1", "C-1", openid="openid-1"), fault(part(1, 1, ("C-1", "A-1"))))
    await house.rows(
        "UPDATE notify.delivery SET state = 'sending', attempts = 1, provider = 'wechat',"
        " next_attempt_at = now() + interval '9 s'"
    )
    assert await house.send_due() == 0
    await house.rows("UPDATE notify.delivery SET next_attempt_at = now() - interval '1 s'")
    assert await house.send_due() == 1
    assert len(house.wechat.sent) == 1


async def test_a_suspected_hazard_stays_inside_and_a_found_one_is_told(house: NotifyHouse) -> None:
    await house.hear(profile("C-1", "A-1"), person("P-1", "C-1", openid="openid-1"), hazard(suspected=True))
    await house.send_due()
    assert house.wechat.sent == []
    await house.hear(hazard().model_copy(update={"hazard_id": "H-2"}))
    await house.send_due()
    assert [m["data"]["thing2"]["value"] for m in house.wechat.sent] == ["变压器油位低"]


async def test_a_hazard_of_an_unknown_customer_waits_for_the_archive(house: NotifyHouse) -> None:
    assert await house.hear(hazard("C-9")) == ["waiting"]


async def test_a_reclassification_reaches_the_manager_of_the_area_and_no_customer(house: NotifyHouse) -> None:
    holding = Holding(person_id="M-1", valid_from=YEAR)
    post = PostChanged(
        post_id="post-1", version=1, name="客户经理", unit_id="east", role="account-manager", holdings=(holding,)
    )
    await house.hear(
        post, UnitChanged(unit_id="east", version=1, name="东区"),
        UnitChanged(unit_id="east-1", version=1, name="东一", parent_id="east"),
        person("M-1", openid="openid-m"), profile("C-1", "A-1"), person("P-1", "C-1", openid="openid-1"),
        CustomerReclassified(
            customer_id="C-1", profile_version=2, classes_before=(), classes_after=("high-service",),
            attention_before=0, attention_after=2, reasons=("隐患未闭环",), occurred_at=NOW,
        ),
    )  # fmt: skip
    await house.send_due()
    assert [m["touser"] for m in house.wechat.sent] == ["openid-m"]
    said = bodies(await house.said("post-assigned"))
    assert [s["version"] for s in said] == list(range(1, len(said) + 1))
    assert [g["scope_id"] for g in said[-1]["grants"]] == ["east", "east-1"]
    own = await house.rows("SELECT scope_id FROM notify.access_grant WHERE person_id = 'M-1' ORDER BY scope_id")
    assert [r["scope_id"] for r in own] == ["east", "east-1"]


async def test_personal_data_stands_nowhere_in_the_clear_and_goes_with_the_person(house: NotifyHouse) -> None:
    await house.hear(profile("C-1", "A-1"), person("P-1", "C-1", openid="openid-1"))
    [row] = await house.rows("SELECT string_agg(p::text, '') || string_agg(c::text, '') AS everything"
                             " FROM notify.person p JOIN notify.contact c USING (person_id)")  # fmt: skip
    for secret in ("某联系人", "13800005678", "openid-1"):
        assert secret not in row["everything"] and secret.encode().hex() not in row["everything"]
    cause, actor = Cause(id="t", source="tests", type="read"), Actor(person_id="system:tests", role="system")
    async with house.database.work(role="worker", cause=cause, actor=actor, scope=EVERYTHING) as work:
        assert await openid_of(work, person_id="P-1") == "openid-1"
    assert await house.forget(PersonChanged, "P-1") == "applied"
    for table in ("person", "contact", "engagement", "access_grant"):
        assert await house.rows(f"SELECT 1 FROM notify.{table} WHERE person_id = 'P-1'") == []
