"""Customers in a real Postgres: facts in any order, readings to scores, and who may see what."""

import asyncio
from datetime import date
from decimal import Decimal

import pytest

from services.contracts import marketing
from services.contracts.envelope import Event
from services.contracts.inspection import HazardClosed, HazardFound, HazardOverdue
from services.contracts.metering import IntervalBlockRecorded, RegisterReadingFrozen
from services.contracts.notify import ConversationAnswered
from services.kernel.broker import Record
from services.kernel.consumer import Applier
from services.portrait.manifest import SERVICE
from tests.integration.portrait.house import NOW, Portrait
from tests.integration.portrait.sayings import (
    agreement,
    archive,
    bill,
    complaint,
    fault,
    hazard,
    last_month,
    month_of_readings,
    restored,
    touching,
)


async def test_a_bill_waits_for_its_account_and_then_makes_the_class(portrait: Portrait) -> None:
    assert await portrait.hear(bill("B-1", yuan=90_000)) == ["waiting"]
    assert await portrait.hear(archive()) == ["applied"]
    profile = await portrait.profile()
    assert profile["classes"] == ["high-contribution"]
    (reclassified,) = await portrait.said("customer-reclassified")
    assert (reclassified["classes_before"], reclassified["classes_after"]) == ([], ["high-contribution"])


async def test_a_bill_cancelled_before_it_came_does_not_count(portrait: Portrait) -> None:
    cancelled = marketing.BillCancelled(account_id="A-1", bill_id="B-1", reason="抄表差错")
    await portrait.hear(archive(), cancelled, bill("B-1", yuan=90_000))
    assert (await portrait.profile())["classes"] == []


async def test_a_theft_takes_the_high_contribution_away(portrait: Portrait) -> None:
    theft = marketing.ViolationRecorded(account_id="A-1", violation_id="V-1", kind="theft", occurred_on=NOW.date())
    await portrait.hear(archive(), bill("B-1", yuan=90_000), theft)
    assert (await portrait.profile())["classes"] == []


async def test_a_critical_hazard_makes_the_customer_urgent_until_it_is_closed(portrait: Portrait) -> None:
    await portrait.hear(archive(), hazard(HazardFound, version=1, status="found"))
    urgent = await portrait.profile()
    assert (urgent["attention_level"], urgent["cycle_factor"]) == (3, "0.0")
    await portrait.hear(hazard(HazardClosed, version=6, status="closed"))
    calm = await portrait.profile()
    assert (calm["attention_level"], calm["cycle_factor"]) == (0, "1.0")
    levels = [(r["attention_before"], r["attention_after"]) for r in await portrait.said("customer-reclassified")]
    assert levels == [(0, 3), (3, 0)]


async def test_a_complaint_raises_service_and_never_the_inspection_cycle(portrait: Portrait) -> None:
    await portrait.hear(archive())
    before = await portrait.profile()
    await portrait.hear(complaint())
    after = await portrait.profile()
    assert after["classes"] == ["high-service"]
    assert (after["attention_level"], after["cycle_factor"]) == (before["attention_level"], before["cycle_factor"])
    (row,) = await portrait.rows("SELECT explanation ->> 'extra_service_visits' AS visits FROM portrait.profile")
    assert row["visits"] == "1"


async def test_importance_halves_the_inspection_cycle_and_a_later_archive_speaks_last(portrait: Portrait) -> None:
    outcomes = await portrait.hear(archive(version=2, grade="grade-1"), archive(version=1, grade="none"))
    assert outcomes == ["applied", "outdated"]
    profile = await portrait.profile()
    assert (profile["classes"], profile["cycle_factor"]) == (["high-reliability"], "0.5")


async def test_a_correction_backwards_replaces_the_periods(portrait: Portrait) -> None:
    turn = date(2020, 7, 1)
    await portrait.hear(archive(terms=(agreement(date(2015, 1, 1)),)))
    periods = (agreement(date(2015, 1, 1), turn, kva=630), agreement(turn, kva=2500))
    await portrait.hear(archive(version=2, terms=periods))
    found = await portrait.rows("SELECT valid_from, valid_to FROM portrait.account_terms ORDER BY valid_from")
    assert [tuple(r) for r in found] == [(date(2015, 1, 1), turn), (turn, None)]
    assert (await portrait.profile())["accounts"][0]["contract_capacity_kva"] == "2500.000"


async def test_any_order_of_the_same_facts_ends_in_the_same_profile(portrait: Portrait) -> None:
    facts: list[Event] = [
        hazard(HazardFound, version=1, status="found", hazard_id="H-2", grade="serious"),
        hazard(HazardOverdue, version=2, status="notified", hazard_id="H-2", grade="serious"),
        hazard(HazardFound, version=1, status="found"),
        hazard(HazardClosed, version=6, status="closed"),
        fault("O-1", days_ago=20, affected=touching("C-1")),
        restored("O-1", days_ago=20, hours=5, affected=touching("C-1")),
        complaint(),
        ConversationAnswered(customer_id="C-1", conversation_id="V-9", occurred_at=NOW, within_promise=False),
        bill("B-1", yuan=90_000),
    ]
    await portrait.hear(archive(), *facts)
    forward = await portrait.profile()
    await portrait.rows("TRUNCATE portrait.open_hazard, portrait.customer_outage, portrait.service_contact")
    await portrait.rows("TRUNCATE portrait.bill, portrait.profile, portrait.customer, portrait.state_version")
    await portrait.rows("TRUNCATE portrait.account, portrait.account_terms, portrait.site, portrait.usage_point")
    await portrait.hear(*reversed(facts), archive())
    assert await portrait.profile() == forward
    assert forward["attention_reasons"] == ["hazard:overdue", "hazard:serious", "outage:repeated-faults"]


async def test_an_outage_counts_until_a_complete_newer_set_lacks_the_customer(portrait: Portrait) -> None:
    await portrait.hear(archive("C-1"), archive("C-2"))
    long = restored("O-1", days_ago=3, hours=5, affected=touching("C-1", "C-2"))
    await portrait.hear(fault("O-1", days_ago=3, affected=touching("C-1", "C-2")), long)
    assert (await portrait.profile("C-2"))["attention_level"] == 1
    await portrait.hear(fault("O-1", days_ago=3, affected=touching("C-1", version=2, part=1, parts=2)))
    assert (await portrait.profile("C-2"))["attention_level"] == 1
    await portrait.hear(fault("O-1", days_ago=3, affected=touching(version=2, part=2, parts=2)))
    assert (await portrait.profile("C-2"))["attention_level"] == 0
    assert (await portrait.profile("C-1"))["attention_level"] == 1


async def test_readings_come_first_and_become_a_score_that_each_reader_sees_in_their_own_way(
    portrait: Portrait,
) -> None:
    readings = month_of_readings(portrait, point="UP-1")
    broken = portrait.record(IntervalBlockRecorded.from_wire(readings[0].value or b""), body=b'{"values": "none"}')
    rejected = await portrait.read_in_bulk(*readings, broken, *readings)
    assert [(r.record, r.poison.reason) for r in rejected] == [(broken, "breaks-contract")]
    await portrait.hear(archive("C-1"), archive("C-2"))
    await portrait.grant("analyst", "analyst", kind="everything")
    await portrait.grant("head", "department-head", kind="everything")
    await portrait.grant("contact", "customer-contact", kind="owner", scope_id="C-1")
    await portrait.grant("dispatcher", "dispatcher", kind="everything")
    await portrait.grant("manager", "account-manager", kind="area", scope_id="area-1")
    month = f"{last_month():%Y-%m}"
    async with portrait.served() as call, portrait.working():
        status, requested = await call("POST", f"/scores/{month}", by="analyst")
        assert (status, requested["month"]) == (202, month)
        await portrait.until_scored()
        status, problem = await call("POST", "/scores/2015-01", by="analyst")
        assert (status, problem["field"]) == (422, "month")
        status, own = await call("GET", "/customers/C-1", by="contact")
        assert (status, set(own)) == (200, {"customer_id", "name", "accounts", "score"})
        assert own["score"]["score"] > 0
        assert {s["indicator"] for s in own["score"]["sub_scores"]} >= {"load_factor", "power_factor"}
        assert (await call("GET", "/customers/C-2", by="contact"))[0] == 404
        assert (await call("GET", "/customers/C-1", by="dispatcher"))[0] == 403
        assert (await call("GET", "/customers", by="contact"))[0] == 403
        status, seen = await call("GET", "/customers/C-1", by="manager")
        assert (status, seen["attention_level"], seen["classes"]) == (200, 0, [])
        _, page = await call("GET", "/customers", by="manager")
        assert [c["customer_id"] for c in page["items"]] == ["C-1"]
        _, scores = await call("GET", "/customers/C-2/scores", by="head")
        assert (scores[0]["score"], scores[0]["not_scored_because_en"]) == (None, "there are no interval data")
        _, curves = await call("GET", f"/customers/C-1/readings?day={last_month()}", by="contact")
        assert curves["curves"][0]["energy_wh"] == [200_000] * 8 + [300_000] * 12 + [200_000] * 4
    told = {e["customer_id"]: e for e in await portrait.said("efficiency-scored")}
    assert told["C-1"]["score"] == own["score"]["score"]
    assert told["C-2"]["not_scored_because"] == "没有可用的电量数据 there are no interval data"
    (usage,) = await portrait.said("monthly-usage-computed")
    assert Decimal(usage["energy_kwh"]) == Decimal(6_000) * len(readings) / 2
    audited = await portrait.rows("SELECT actor FROM portrait.audit WHERE action = 'customer-read' ORDER BY actor")
    assert [r["actor"] for r in audited] == ["contact", "manager"]


async def test_registers_of_an_unknown_point_are_kept_and_the_higher_revision_stays(portrait: Portrait) -> None:
    def register(revision: int, value: int) -> Record:
        return portrait.record(
            RegisterReadingFrozen(
                usage_point_id="UP-1",
                meter_id="M-1",
                register_name="active-import",
                value=Decimal(value),
                multiplier=100,
                frozen_at=NOW,
                revision=revision,
            )
        )

    assert await portrait.read_in_bulk(register(1, 20), register(0, 10)) == []
    assert await portrait.read_in_bulk(register(0, 10)) == []
    await portrait.hear(archive())
    (row,) = await portrait.rows("SELECT value, customer_id FROM portrait.register_reading")
    assert (row["value"], row["customer_id"]) == (20, "C-1")


async def test_a_removed_customer_is_gone_from_the_topic_and_comes_back_with_a_higher_version(
    portrait: Portrait,
) -> None:
    await portrait.hear(archive())
    gone = portrait.record(archive())
    deletion = Record(
        topic=gone.topic, partition=0, offset=99, key=b"C-1", value=None, headers=gone.headers, timestamp_ms=0
    )
    applier = Applier(service=SERVICE, database=portrait.database)
    assert await applier.apply(deletion) == "applied"
    (row,) = await portrait.rows("SELECT body, version FROM portrait.profile")
    assert (row["body"], row["version"]) == (None, 2)
    nulls = await portrait.rows("SELECT 1 FROM portrait.outbox WHERE payload IS NULL AND aggregateid = 'C-1'")
    assert len(nulls) == 1
    await portrait.hear(archive(version=2))
    (row,) = await portrait.rows("SELECT version FROM portrait.profile")
    assert row["version"] == 3


@pytest.mark.parametrize("successor_speaks_first", [False, True])
async def test_an_account_taken_over_stays_with_its_successor_whoever_speaks_first(
    portrait: Portrait, successor_speaks_first: bool
) -> None:
    turn = date(2024, 7, 1)
    former = archive("C-1", terms=(agreement(date(2015, 1, 1), turn),))
    own = archive("C-2")
    taken_over = former.accounts[0].model_copy(update={"terms": (agreement(turn),)})
    successor = own.model_copy(
        update={
            "accounts": (*own.accounts, taken_over),
            "sites": (*own.sites, *former.sites),
            "usage_points": (*own.usage_points, *former.usage_points),
            "successions": (marketing.Succession(kind="transfer", other_customer_id="C-1", effective_on=turn),),
        }
    )
    await portrait.hear(*((successor, former) if successor_speaks_first else (former, successor)))
    assert (await portrait.profile("C-1"))["accounts"] == []
    assert [a["account_id"] for a in (await portrait.profile("C-2"))["accounts"]] == ["A-1", "A-2"]
    query = "SELECT customer_id, from_day, to_day FROM portrait.usage_point_holder WHERE usage_point_id = 'UP-1'"
    held = [tuple(r) for r in await portrait.rows(f"{query} ORDER BY from_day")]
    assert held == [("C-1", date(2015, 1, 1), turn), ("C-2", turn, None)]


async def test_facts_that_arrive_at_the_same_time_are_all_in_the_last_profile(portrait: Portrait) -> None:
    await portrait.hear(archive())
    await asyncio.gather(
        portrait.hear(hazard(HazardFound, version=1, status="found", grade="serious")),
        portrait.hear(restored("O-1", days_ago=3, hours=5, affected=touching("C-1"))),
        portrait.hear(bill("B-1", yuan=90_000)),
    )
    profile = await portrait.profile()
    assert profile["attention_reasons"] == ["hazard:serious", "outage:repeated-faults"]
    assert profile["classes"] == ["high-contribution"]
    versions = [p["version"] for p in await portrait.said("customer-profile-changed")]
    assert versions == sorted(set(versions))
