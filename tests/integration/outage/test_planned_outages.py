"""A planned outage over HTTP: published, moved, taken back; it begins with proof of notice or by another's word."""

from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from services.contracts.envelope import Event
from services.contracts.notify import PlannedNoticeProven, PlannedNoticeUnproven, PostAssigned
from services.kernel.work import EVERYTHING, Actor, Cause
from services.outage.manifest import SERVICE
from services.outage.planned import announcing
from tests.integration.outage.house import (
    NOW,
    Edge,
    House,
    feeder,
    grant,
    people,
    points_in,
    profile,
    two_customers_without_supply,
)

PLAN = {"feeder_id": "F-1", "reason": "设备检修"}


def window(days: float, *, hours: float = 6, **more: Any) -> dict[str, Any]:
    starts = NOW + timedelta(days=days)
    return {"starts_at": starts.isoformat(), "ends_at": (starts + timedelta(hours=hours)).isoformat(), **more}


async def announce(house: House, outage_id: str, *, again: str = "") -> None:
    cause = Cause(id=f"{outage_id}{again}", source="test", type="announce")
    async with house.database.work(role="worker", cause=cause, actor=Actor(person_id="t"), scope=EVERYTHING) as work:
        await announcing.announce(work, outage_id=outage_id)


async def published(house: House, edge: Edge, *, by: str = "P-plan", days: float = 8) -> str:
    status, accepted = await edge.call(by, "POST", "/planned-outages", {**PLAN, **window(days)})
    assert status == 202, accepted
    await announce(house, accepted["outage_id"])
    return str(accepted["outage_id"])


def proven(outage_id: str, customer: str, *, in_time: bool = True, version: int = 1, days: float = 0) -> Event:
    return PlannedNoticeProven(
        customer_id=customer, outage_id=outage_id, plan_version=version, occurred_at=NOW + timedelta(days=days),
        level="opened", in_time=in_time,
    )  # fmt: skip


def unproven(outage_id: str, customer: str, *, version: int = 1, days: float = 0) -> Event:
    return PlannedNoticeUnproven(
        customer_id=customer, outage_id=outage_id, plan_version=version, occurred_at=NOW + timedelta(days=days),
        important=True, required_by=NOW + timedelta(days=1),
    )  # fmt: skip


async def begin_now(house: House) -> None:
    """As on the day itself: the window is open."""
    await house.admin.execute(
        "UPDATE outage.planned_outage SET starts_at = $1, ends_at = $2", NOW, NOW + timedelta(hours=6)
    )


async def audited(house: House, action: str) -> list[tuple[str, str | None]]:
    rows = await house.admin.fetch("SELECT actor, reason FROM outage.audit WHERE action = $1 ORDER BY seq", action)
    return [(r["actor"], r["reason"]) for r in rows]


async def test_a_planned_outage_in_time_is_published_once_for_the_whole_feeder(house: House, edge: Edge) -> None:
    await two_customers_without_supply(house)
    status, problem = await edge.call("P-plan", "POST", "/planned-outages", {**PLAN, **window(6)})
    assert (status, problem["title"], problem["field"]) == (422, "notice-too-short", "starts_at")
    strange = {**PLAN, **window(8), "section_ids": ["SEC-9"]}
    status, problem = await edge.call("P-plan", "POST", "/planned-outages", strange)
    assert (status, problem["field"]) == (422, "section_ids")
    outage_id = await published(house, edge)
    await announce(house, outage_id, again="|again")
    [said] = await house.said("planned-outage-published")
    assert points_in(said) == ["UP-1", "UP-2"]
    assert [job.name for job in SERVICE.jobs if job.run is announcing.say_unsaid] == ["publish-planned-outages"]


async def test_a_plan_begins_only_when_every_customer_is_shown_to_know_in_time(house: House, edge: Edge) -> None:
    await two_customers_without_supply(house)
    outage_id = await published(house, edge)
    start: tuple[str, str, Any] = ("POST", f"/planned-outages/{outage_id}/start", {})
    assert (await edge.call("P-plan", *start))[0] == 403
    status, problem = await edge.call("P-dispatch", *start)
    assert (status, problem["title"]) == (409, "conflict"), "never before the hour that was announced"
    await begin_now(house)
    for word, open_customers in (
        (proven(outage_id, "C-1", days=-2), 1),
        (proven(outage_id, "C-1", days=-2), 1),
        (unproven(outage_id, "C-2", days=-1), 1),
        (proven(outage_id, "C-2", in_time=False, days=-1), 1),
        (proven(outage_id, "C-2", version=9, days=-1), 0),
        (unproven(outage_id, "C-2", days=-3), 0),
        (unproven(outage_id, "C-1", days=0), 1),
    ):
        await house.tell(word)
        status, plan = await edge.call("P-dispatch", "GET", f"/planned-outages/{outage_id}")
        assert (status, plan["unproven_customers"]) == (200, open_customers), word
    assert {c["customer_id"]: c["standing"] for c in plan["customers"]} == {"C-1": "unproven"}, "C-2: another area"
    status, problem = await edge.call("P-dispatch", *start)
    assert (status, problem["title"], problem["field"]) == (409, "notice-not-proven", "outage_id")
    assert "1 户" in problem["detail"]
    await house.tell(proven(outage_id, "C-1", days=0))
    assert (await edge.call("P-dispatch", *start))[0] == 200
    assert await audited(house, "planned-outage-started") == [("P-dispatch", None)]
    assert (await edge.call("P-dispatch", *start))[0] == 409, "it has begun"
    status, problem = await edge.call("P-plan", "POST", f"/planned-outages/{outage_id}/cancel", {"reason": "天气"})
    assert status == 409


async def test_customers_out_of_the_dispatchers_sight_hold_the_plan_back_as_well(house: House, edge: Edge) -> None:
    await people(house)
    await house.tell(profile("C-2", "UP-2", area="A-2"))
    await house.tell(feeder(("UP-2",)))
    outage_id = await published(house, edge)
    await begin_now(house)
    status, plan = await edge.call("P-dispatch", "GET", f"/planned-outages/{outage_id}")
    assert (status, plan["customers"], plan["unproven_customers"]) == (200, [], 1)
    assert (await edge.call("P-dispatch", "POST", f"/planned-outages/{outage_id}/start", {}))[0] == 409


async def test_another_person_than_the_planner_lets_a_plan_go_with_a_reason(house: House, edge: Edge) -> None:
    await two_customers_without_supply(house)
    both = (grant("P-plan", "planner", "area", "A-1"), grant("P-plan", "dispatcher", "area", "A-1"))
    head = (grant("P-head", "department-head", "area", "A-1"),)
    await house.tell(PostAssigned(post_id="POST-2", version=1, grants=(*both, *head)))
    outage_id = await published(house, edge)
    override = ("POST", f"/planned-outages/{outage_id}/override")
    reason = {"reason": "用户现场签字同意"}
    status, problem = await edge.call("P-head", *override, reason)
    assert (status, problem["title"]) == (409, "conflict"), "there is still time to tell them"
    await begin_now(house)
    await house.tell(unproven(outage_id, "C-1"))
    status, problem = await edge.call("P-plan", *override, reason)
    assert (status, problem["title"]) == (403, "self-approval")
    with pytest.raises(asyncpg.CheckViolationError):
        await house.admin.execute("UPDATE outage.planned_outage SET overridden_by = entered_by")
    status, problem = await edge.call("P-head", *override, {})
    assert (status, problem["field"]) == (422, "body.reason")
    assert (await edge.call("P-head", *override, reason))[0] == 200
    assert await audited(house, "planned-outage-overridden") == [("P-head", "用户现场签字同意")]
    assert (await edge.call("P-plan", "POST", f"/planned-outages/{outage_id}/start", {}))[0] == 200
    status, plan = await edge.call("P-dispatch", "GET", f"/planned-outages/{outage_id}")
    assert (plan["status"], plan["unproven_customers"], plan["override_reason"]) == ("started", 2, reason["reason"])


async def test_a_moved_plan_is_said_anew_and_what_was_proven_of_the_old_window_counts_not(
    house: House, edge: Edge
) -> None:
    await two_customers_without_supply(house)
    outage_id = await published(house, edge)
    change = ("POST", f"/planned-outages/{outage_id}/change")
    for customer in ("C-1", "C-2"):
        await house.tell(proven(outage_id, customer))
    status, problem = await edge.call("P-plan", *change, window(6, reason="改期"))
    assert (status, problem["title"]) == (422, "notice-too-short")
    assert (await edge.call("P-dispatch", *change, window(12, reason="改期")))[0] == 403
    assert (await edge.call("P-plan", *change, window(12, reason="改期")))[0] == 200
    status, problem = await edge.call("P-plan", *change, window(13, reason="再改"))
    assert status == 409, "each window is announced before the next one"
    await announce(house, outage_id, again="|2")
    [said] = await house.said("planned-outage-changed")
    assert (said["version"], said["starts_at"], said["reason"]) == (2, "2026-06-27T02:00:00Z", "改期")
    assert (points_in(said), said["affected"]["set_version"]) == (["UP-1", "UP-2"], 2)
    await house.tell(proven(outage_id, "C-1", days=1))  # a late word about the first window
    await house.tell(proven(outage_id, "C-2", version=2, days=1))
    status, plan = await edge.call("P-dispatch", "GET", f"/planned-outages/{outage_id}")
    assert (plan["version"], plan["announced"], plan["unproven_customers"]) == (2, True, 1)
    assert [c["standing"] for c in plan["customers"]] == ["pending"]


async def test_a_plan_taken_back_is_said_to_those_it_was_announced_to(house: House, edge: Edge) -> None:
    await two_customers_without_supply(house)
    outage_id = await published(house, edge)
    await house.tell(feeder(("UP-1",), version=2))  # the network changed since
    cancel = ("POST", f"/planned-outages/{outage_id}/cancel", {"reason": "台风"})
    assert (await edge.call("P-analyst", *cancel))[0] == 403
    assert (await edge.call("P-plan", *cancel))[0] == 200
    await announce(house, outage_id, again="|2")
    [said] = await house.said("planned-outage-cancelled")
    assert (said["version"], said["reason"], points_in(said)) == (2, "台风", ["UP-1", "UP-2"])
    assert (await edge.call("P-plan", *cancel))[0] == 409
    assert (await edge.call("P-dispatch", "POST", f"/planned-outages/{outage_id}/start", {}))[0] == 409
    status, plans = await edge.call("P-dispatch", "GET", "/planned-outages?status=cancelled")
    assert (status, [p["outage_id"] for p in plans]) == (200, [outage_id])
    assert (await edge.call("P-contact", "GET", "/planned-outages"))[0] == 403
