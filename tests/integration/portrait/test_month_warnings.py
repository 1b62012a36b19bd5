"""In-month warnings from outside: the newest readings, the worker's jobs, the topic, HTTP of staff and customer."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from services.contracts import marketing
from services.contracts.metering import IntervalBlockRecorded
from services.kernel.broker import Record
from tests.integration.portrait.house import NOW, Portrait
from tests.integration.portrait.metering_sayings import TODAY, at, curve, register, run_job
from tests.integration.portrait.sayings import agreement, archive

FIRST = TODAY.replace(day=1)
HOURS_TODAY = 1 if at(TODAY, 1) <= NOW else 0
pytestmark = pytest.mark.skipif(at(FIRST, 2) > NOW, reason="the month has no data in its first hours")


def contract(*, version: int = 1, kw: int = 600) -> marketing.CustomerChanged:
    terms = agreement(date(2015, 1, 1)).model_copy(
        update={"basic_charge_method": "contract-demand", "contract_demand_kw": Decimal(kw)}
    )
    return archive(version=version, terms=(terms,))


def so_far(portrait: Portrait, *, kvarh_share: float) -> list[Record]:
    """500 kWh by the hour up to this morning, 598.5 kWh in the first hour of the month."""
    said = []
    for n in range((TODAY - FIRST).days + HOURS_TODAY):
        values = [500_000] * (24 if n < (TODAY - FIRST).days else HOURS_TODAY)
        if n == 0:
            values[0] = 598_500
        reactive = [int(v * kvarh_share) for v in values]
        said.append(curve(portrait, FIRST + timedelta(n), values, source_time=at(FIRST)))
        said.append(curve(portrait, FIRST + timedelta(n), reactive, channel="reactive-lagging", source_time=at(FIRST)))
    return said


async def look(portrait: Portrait) -> None:
    await run_job(portrait, "review-days")
    await rested(portrait)
    await run_job(portrait, "month-warnings")


async def rested(portrait: Portrait) -> None:
    """As if what was noted until now had rested for five minutes."""
    await portrait.rows("UPDATE portrait.warning_due SET changed_at = changed_at - interval '5 minutes'")


async def test_warnings_begin_worsen_and_clear_with_the_data_and_are_told_once_each(portrait: Portrait) -> None:
    await portrait.hear(contract())
    readings = so_far(portrait, kvarh_share=0.6)
    await portrait.read_in_bulk(*readings)
    await run_job(portrait, "review-days")
    await run_job(portrait, "month-warnings")
    assert not await portrait.said("usage-warning-raised")  # the data have not rested yet
    for _ in range(2):  # nothing is told twice
        await look(portrait)
        await run_job(portrait, "look-at-all-months")
        await look(portrait)
    raised = {e["warning_kind"]: e for e in await portrait.said("usage-warning-raised")}
    # 600 kW contracted: free up to 630, near from 598.5 on. 0.6 kvarh for each kWh is a power factor of 0.86.
    demand = raised["demand"]
    assert (demand["level"], demand["value"], demand["limit"]) == ("near", "598.500000", "630.000000")
    assert demand["account_id"] == "A-1"
    factor = raised["power-factor"]
    assert (factor["level"], factor["value"], factor["limit"]) in (
        ("recoverable", "0.86", "0.9"), ("lost", "0.86", "0.9"),
    )  # fmt: skip
    assert len(await portrait.said("usage-warning-raised")) == len(raised) == 2

    # The meter formed a higher demand than the curve shows: worse, told again under the same id.
    await portrait.read_in_bulk(
        register(portrait, TODAY, "6.4", register_name="maximum-demand", demand_at=at(FIRST, 1), frozen_at=at(FIRST, 2))
    )
    await look(portrait)
    worse = [e for e in await portrait.said("usage-warning-raised") if e["warning_kind"] == "demand"]
    assert [(e["level"], e["ordinal"], e["warning_id"]) for e in worse] == [
        ("near", 1, demand["warning_id"]), ("exceeded", 2, demand["warning_id"]),
    ]  # fmt: skip
    await _seen_over_http(portrait, demand["warning_id"])

    # A corrected reading clears the power factor, a new contract the demand.
    corrected = [r for r in so_far(portrait, kvarh_share=0.2) if b"reactive-lagging" in (r.value or b"")]
    for record in corrected:
        assert record.value is not None
    await portrait.read_in_bulk(*[_revised(portrait, r) for r in corrected])
    await portrait.hear(contract(version=2, kw=900))
    await run_job(portrait, "look-at-all-months")
    await look(portrait)
    cleared = {e["warning_kind"]: e for e in await portrait.said("usage-warning-cleared")}
    assert {kind: e["because"] for kind, e in cleared.items()} == {"demand": "well-again", "power-factor": "well-again"}
    rows = await portrait.rows("SELECT kind, cleared_at IS NULL AS stands FROM portrait.usage_warning")
    assert not [r for r in rows if r["stands"] and r["kind"] in cleared]


def _revised(portrait: Portrait, record: Record) -> Record:

    event = IntervalBlockRecorded.from_wire(record.value or b"")
    return portrait.record(event.model_copy(update={"revision": 1}))


async def _seen_over_http(portrait: Portrait, warning_id: str) -> None:
    await portrait.grant("contact", "customer-contact", kind="owner", scope_id="C-1")
    await portrait.grant("manager", "account-manager", kind="area", scope_id="area-1")
    await portrait.grant("stranger", "account-manager", kind="area", scope_id="area-7")
    path = "/customers/C-1/in-month"
    async with portrait.served() as call:
        assert (await call("GET", path, by="stranger"))[0] == 404
        answers: list[Any] = [await call("GET", path, by=person) for person in ("contact", "manager")]
        assert [status for status, _ in answers] == [200, 200]
        (account,) = answers[0][1]["accounts"]
        lines = {line["kind"]: line for line in account["lines"]}
        assert lines["demand"]["level"] == "exceeded"
        assert Decimal(lines["demand"]["value"]) == 640
        assert Decimal(lines["demand"]["figures"]["charged_demand_kw"]) == 600 + 2 * 10
        assert lines["demand"]["standing_since"] is not None
        assert account["data_until"] == at(TODAY, HOURS_TODAY).isoformat()
        assert account["data_age_minutes"] >= 0
        assert {d["change"] for d in answers[0][1]["deadlines"]} == {"method", "value"}
        own = {"effective_from": str(TODAY), "demand_near_share": "0.5"}
        put = "/customers/C-1/warning-thresholds"
        assert (await call("PUT", put, by="contact", body=own))[0] == 403
        assert (await call("PUT", put, by="stranger", body=own))[0] == 404
        past = {**own, "effective_from": str(TODAY - timedelta(days=1))}
        status, problem = await call("PUT", put, by="manager", body=past)
        assert (status, problem["field"]) == (422, "effective_from")
        assert (await call("PUT", put, by="manager", body=own))[0] == 200
        _, seen = await call("GET", path, by="contact")
        assert seen["rules_version"].endswith("demo-1+own")
        future = {"effective_from": str(TODAY), "demand_near_share": "0.99"}
        assert (await call("PUT", put, by="manager", body=future))[0] == 200
    (row,) = await portrait.rows("SELECT document::text AS document, set_by FROM portrait.warning_threshold")
    assert (row["document"], row["set_by"]) == ('{"demand_near_share": "0.99"}', "manager")
    assert warning_id


async def test_a_warning_of_a_month_that_ended_is_cleared(portrait: Portrait) -> None:
    await portrait.hear(contract())
    await portrait.rows(
        "INSERT INTO portrait.usage_warning (warning_id, customer_id, account_id, kind, month, level, line, times_told,"
        " began_at) VALUES ('w-1', 'C-1', 'A-1', 'demand', '2024-01', 'near', '{}', 1, now())"
    )
    await run_job(portrait, "look-at-all-months")
    await look(portrait)
    (cleared,) = await portrait.said("usage-warning-cleared")
    assert (cleared["warning_id"], cleared["because"], cleared["month"]) == ("w-1", "month-ended", "2024-01")
