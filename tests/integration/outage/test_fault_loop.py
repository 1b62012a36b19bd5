"""A fault from the feeder to the affected accounts and back, on a real Postgres, told by records and over HTTP."""

import asyncio
import time
from datetime import timedelta

from services.contracts.portrait import CustomerProfileChanged
from services.kernel.consumer import Releaser
from tests.integration.outage.house import (
    NOW,
    House,
    back,
    fault,
    feeder,
    points_in,
    profile,
)


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


async def test_a_fault_on_a_section_nobody_announced_waits_for_the_newer_network(house: House) -> None:
    await house.tell(profile("C-1", "UP-1"))
    await house.tell(feeder(("UP-9",)))
    assert await house.tell(fault(sections=("SEC-2",))) == "waiting"
    await house.tell(feeder(("UP-9",), ("UP-1",), version=2))
    assert [points_in(s) for s in await house.said("fault-outage-detected")] == [["UP-1"]]


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


async def test_no_point_is_lost_when_its_owner_becomes_known_while_the_fault_is_being_found(house: House) -> None:
    points = [f"UP-{n}" for n in range(8)]
    await house.tell(feeder(tuple(points)))
    told = [house.tell(profile(f"C-{n}", p)) for n, p in enumerate(points)]
    await asyncio.gather(*told[:4], house.tell(fault()), *told[4:])
    found = await house.admin.fetch("SELECT usage_point_id FROM outage.affected ORDER BY 1")
    assert [r[0] for r in found] == points
    assert sorted(points_in((await house.said("fault-outage-detected"))[-1])) == points


async def test_an_owner_known_after_restoration_is_counted_and_told_as_restored_only(house: House) -> None:
    await house.tell(feeder(("UP-1",)))
    await house.tell(fault())
    await house.tell(back())
    await house.tell(profile("C-1", "UP-1"))
    assert [points_in(s) for s in await house.said("fault-outage-detected")] == [[]]
    assert [points_in(s) for s in await house.said("supply-restored")] == [[], ["UP-1"]]


async def test_a_usage_point_handed_to_another_customer_is_told_to_the_new_one(house: House) -> None:
    await house.tell(profile("C-1", "UP-1"))
    await house.tell(profile("C-2", "UP-1"))
    await house.tell(profile("C-1", version=2))
    await house.tell(feeder(("UP-1",)))
    await house.tell(fault())
    [detected] = await house.said("fault-outage-detected")
    assert [a["customer_id"] for a in detected["affected"]["affected"]] == ["C-2"]


async def test_a_deleted_customer_leaves_the_view_and_stays_in_the_outages_it_went_through(house: House) -> None:
    await house.tell(profile("C-1", "UP-1"))
    await house.tell(feeder(("UP-1",)))
    await house.tell(fault())
    assert await house.delete(CustomerProfileChanged, key="C-1") == "applied"
    await house.tell(fault(fault_id="FLT-2"))
    assert [points_in(s) for s in await house.said("fault-outage-detected")] == [["UP-1"], []]
    assert await house.admin.fetchval("SELECT count(*) FROM outage.affected WHERE customer_id = 'C-1'") == 1
