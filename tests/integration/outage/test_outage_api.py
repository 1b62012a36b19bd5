"""What the API of outage shows to whom, over HTTP with tokens of the development issuer."""

from datetime import timedelta

import asyncpg
import pytest

from services.contracts.metering import LastGaspReceived
from services.contracts.notify import MessageAccepted, MessageDelivered
from tests.integration.outage.house import (
    NOW,
    Edge,
    House,
    back,
    fault,
    feeder,
    people,
    profile,
    proof,
    two_customers_without_supply,
)


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


async def test_the_api_login_reads_no_customer_row_outside_the_scope_of_its_transaction(house: House) -> None:
    await two_customers_without_supply(house)
    dsn = house.settings.database_url(service="outage", role="api").replace("+asyncpg", "")
    connection = await asyncpg.connect(dsn)
    try:
        for owners, seen in (("", []), ("C-1", ["C-1"]), ("C-1,C-2", ["C-1", "C-2"])):
            await connection.execute("SELECT set_config('keyline.owners', $1, false)", owners)
            for table in ("customer", "usage_point", "affected"):
                rows = await connection.fetch(f"SELECT customer_id FROM outage.{table} ORDER BY 1")
                assert [r["customer_id"] for r in rows] == seen, table
    finally:
        await connection.close()
