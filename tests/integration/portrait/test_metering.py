"""Metering from outside: records in any order, jobs, then tables and HTTP."""

import random
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from services.kernel.broker import Record
from tests.integration.portrait.house import Portrait
from tests.integration.portrait.metering_sayings import TODAY, at, curve, meter_change, register, run_job
from tests.integration.portrait.sayings import archive, last_month

FIRST = last_month()
AFTER = TODAY.replace(day=1)
DAYS = (AFTER - FIRST).days


def plain_month(portrait: Portrait, *, without: tuple[int, ...] = ()) -> list[Record]:
    """100 kWh an hour by day, 50 by night; day n of the month (from 0) is left out where told."""
    values = [50_000 + (slot % 3) for slot in range(8)] + [100_000 + slot for slot in range(16)]
    return [curve(portrait, FIRST + timedelta(n), values) for n in range(DAYS) if n not in without]


DAY_WH = sum(50_000 + slot % 3 for slot in range(8)) + sum(100_000 + slot for slot in range(16))


async def test_registers_and_meter_changes_end_alike_for_every_order_and_repetition(portrait: Portrait) -> None:
    await portrait.hear(archive())
    said = [
        register(portrait, FIRST, "10", revision=1),
        register(portrait, FIRST, "11"),
        register(portrait, FIRST, "10", revision=1, multiplier=200),
        register(portrait, AFTER, "9", register_name="maximum-demand", demand_at=at(FIRST, 30)),
        register(portrait, AFTER, "9", register_name="maximum-demand", demand_at=at(FIRST, 40)),
        register(portrait, AFTER, "9", register_name="maximum-demand"),
        meter_change(portrait, FIRST, hour=30, old_kwh="20", new_kwh="0"),
        meter_change(portrait, FIRST, hour=30, old_kwh="20", new_kwh="0.5"),
        meter_change(portrait, FIRST, hour=30, old_kwh="19", new_kwh="0.7"),
    ]
    ends = set()
    for seed in range(6):
        rng = random.Random(seed)
        order = said + rng.choices(said, k=5)
        rng.shuffle(order)
        await portrait.rows("TRUNCATE portrait.register_reading, portrait.meter_change")
        for part in range(0, len(order), 1 + seed):
            assert not await portrait.read_in_bulk(*order[part : part + 1 + seed])
        rows = [await portrait.rows(f"SELECT * FROM portrait.{name} ORDER BY 1, 2, 3, 4, 5") for name in _TABLES]
        ends.add(repr([[tuple(row) for row in table] for table in rows]))
    assert len(ends) == 1
    (row,) = await portrait.rows("SELECT new_active_import_kwh FROM portrait.meter_change")
    assert row["new_active_import_kwh"] == Decimal("0.5")


_TABLES = ("register_reading", "meter_change")


async def test_marks_gaps_and_estimates_show_in_the_completeness_report_and_yield_to_late_data(
    portrait: Portrait,
) -> None:
    day = TODAY - timedelta(days=5)
    ordinary = [100_000 + n for n in range(24)]
    await portrait.hear(archive())
    learnt = [curve(portrait, TODAY - timedelta(days=n), ordinary) for n in (6, 12, 19, 26)]
    holes = curve(portrait, day, [*ordinary[:5], None, -3, 2_000_000, *[7] * 6, *ordinary[14:]])
    await portrait.read_in_bulk(*learnt, holes)
    await portrait.read_in_bulk(register(portrait, day, "500"), register(portrait, day + timedelta(days=1), "560"))
    await run_job(portrait, "review-days")
    (mark,) = await portrait.rows("SELECT * FROM portrait.day_mark")
    assert (mark["customer_id"], mark["suspect"], list(mark["marks"][5:9])) == ("C-1", 8, [0, 1, 2, 4])
    await run_job(portrait, "estimate-gaps")
    (estimate,) = await portrait.rows(f"SELECT * FROM portrait.gap_estimate WHERE day = '{day}'")
    known = sum(ordinary[:5]) - 3 + 2_000_000 + 42 + sum(ordinary[14:])
    assert (estimate["slots"], estimate["energy"], estimate["scaled"]) == (1, 6_000_000 - known, "register")
    await portrait.grant("contact", "customer-contact", kind="owner", scope_id="C-1")
    path = f"/customers/C-1/completeness?from_day={day}&to_day={day + timedelta(days=1)}"
    async with portrait.served() as call:
        status, report = await call("GET", path, by="contact")
        assert status == 200
        wanted = ("expected", "received", "estimated", "missing", "suspect")
        assert [report["days"][0][name] for name in wanted] == [24, 23, 1, 0, 8]
        # The following day was never heard of: filled as a whole from days like it.
        assert [report["days"][1][name] for name in wanted] == [24, 0, 24, 0, 0]
        assert (await call("GET", path.replace("C-1", "C-2"), by="contact"))[0] == 404
        _, slots = await call("GET", f"/customers/C-1/slots?day={day}", by="contact")
        (block,) = slots["blocks"]
        assert block["quality"][4:7] == ["measured", "estimated", "measured"]
        assert block["marks"][4:9] == [[], [], ["negative"], ["spike"], ["frozen"]]
        assert block["energy"][6:8] == [-3, 2_000_000]
        late = curve(portrait, day, [77_000], first_slot=5, quality="questionable")
        await portrait.read_in_bulk(late, curve(portrait, day, [90_000, 90_001, 90_002], first_slot=6, revision=1))
        await run_job(portrait, "review-days")
        _, report = await call("GET", path, by="contact")
        # The source's own doubt and the rest of the frozen run (now too short to be one) are all that is left.
        assert [report["days"][0][name] for name in wanted] == [24, 24, 0, 0, 1]
        _, curves = await call("GET", f"/customers/C-1/readings?day={day}", by="contact")
        assert curves["curves"][0]["energy_wh"][5:8] == [77_000, 90_000, 90_001]


async def test_a_closed_month_is_revised_by_late_data_and_never_overwritten(portrait: Portrait) -> None:
    await portrait.hear(archive())
    await portrait.read_in_bulk(*plain_month(portrait, without=(3,)))
    await portrait.grant("head", "department-head", kind="everything")
    await portrait.grant("analyst", "analyst", kind="everything")
    month = f"{FIRST:%Y-%m}"
    async with portrait.served() as call:
        assert (await call("POST", f"/months/{month}/close", by="analyst"))[0] == 403
        assert (await call("POST", f"/months/{TODAY:%Y-%m}/close", by="head"))[0] == 422
        assert (await call("POST", f"/months/{month}/close", by="head"))[0] == 202
        assert (await call("POST", f"/months/{month}/close", by="head"))[0] == 409
        await run_job(portrait, "review-days")
        await run_job(portrait, "close-months")
        late = curve(portrait, FIRST + timedelta(days=3), [50_000] * 24)
        for repeated in (late, late):
            await portrait.read_in_bulk(repeated)
            await run_job(portrait, "review-days")
        _, seen = await call("GET", f"/customers/C-1/months/{month}", by="head")
        _, closed = await call("GET", "/months", by="analyst")
    first, second = seen["revisions"]
    assert (first["revision"], first["reason"], first["after_close"]) == (0, "month-close", False)
    assert Decimal(first["energy_kwh"]) == Decimal(DAY_WH * (DAYS - 1)) / 1000
    assert (second["revision"], second["reason"], second["after_close"]) == (1, "late-data", True)
    assert second["changed"] == {
        "days": [str(FIRST + timedelta(days=3))], "usage_point_ids": ["UP-1"],
        "energy_wh_before": DAY_WH * (DAYS - 1),
    }  # fmt: skip
    assert Decimal(second["energy_kwh"]) - Decimal(first["energy_kwh"]) == 1200
    assert second["completeness"] == 1.0
    told = await portrait.said("monthly-usage-computed")
    assert [(u["revision"], Decimal(u["energy_kwh"])) for u in told] == [
        (r["revision"], Decimal(r["energy_kwh"])) for r in seen["revisions"]
    ]
    assert (closed[0]["month"], closed[0]["closed_by"]) == (month, "head")
    assert closed[0]["finished_at"] is not None


async def test_registers_bill_through_a_meter_change_and_the_difference_to_the_curve_is_shown(
    portrait: Portrait,
) -> None:
    await portrait.hear(archive())
    turn = FIRST + timedelta(days=9)
    month = plain_month(portrait)
    registers = [
        register(portrait, FIRST, "1000"),
        meter_change(portrait, turn, hour=10.25, old_kwh="1200", new_kwh="3"),
        register(portrait, AFTER, "243", meter_id="M-2", multiplier=150),
        register(portrait, FIRST, "100", tou_period="valley"),
        register(portrait, AFTER, "9", register_name="maximum-demand", meter_id="M-2", demand_at=at(turn, 30)),
        register(portrait, turn, "11.5", hour=10.25, register_name="maximum-demand", demand_at=at(FIRST, 30)),
    ]
    random.Random(1).shuffle(registers)
    await portrait.read_in_bulk(*registers, *month)
    await portrait.grant("contact", "customer-contact", kind="owner", scope_id="C-1")
    async with portrait.served() as call:
        status, seen = await call("GET", f"/customers/C-1/months/{FIRST:%Y-%m}", by="contact")
    assert status == 200
    (point,) = seen["usage_points"]
    total = _line(point, "total")
    billed = Decimal(200 * 100 + 240 * 150)
    assert (Decimal(total["register_energy"]), total["reason_en"]) == (billed, None)
    assert Decimal(total["curve_energy"]) == Decimal(DAY_WH * DAYS) / 1000
    assert Decimal(total["difference"]) == Decimal(DAY_WH * DAYS) / 1000 - billed
    assert [(s["meter_id"], s["multiplier"]) for s in point["steps"]] == [("M-1", 100), ("M-2", 150)]
    valley = _line(point, "valley")
    assert (valley["register_energy"], valley["reason_en"]) == (
        None, "a reading at the meter change is missing",
    )  # fmt: skip
    # 11.5 x 100 kW of the old meter against 9 x 100 of the new one; the curve's 96 points would say 100 kW.
    assert point["demand"]["source"] == "register"
    assert Decimal(point["demand"]["demand_kw"]) == Decimal("1150")
    assert Decimal(point["demand"]["curve_demand_kw"]) == Decimal("100.015")
    assert Decimal(seen["demand_kw"]) == Decimal("1150")


def _line(point: dict[str, Any], period: str) -> dict[str, Any]:
    (line,) = [x for x in point["lines"] if (x["channel"], x["tou_period"]) == ("active-import", period)]
    return dict(line)


async def test_a_month_moves_with_its_usage_point_when_the_holder_is_corrected(portrait: Portrait) -> None:
    """The days of a point count for whoever held it on that day."""
    await portrait.hear(archive())
    await portrait.read_in_bulk(*plain_month(portrait))
    half = FIRST + timedelta(days=10)
    await portrait.rows(f"UPDATE portrait.usage_point_holder SET to_day = '{half}'")
    await portrait.rows(
        "INSERT INTO portrait.customer (customer_id, version, name, former_names, key_account)"
        " VALUES ('C-9', 1, 'x', '{}', true)"
    )
    await portrait.rows(f"INSERT INTO portrait.usage_point_holder VALUES ('UP-1', '{half}', NULL, 'C-9')")
    await portrait.grant("head", "department-head", kind="everything")
    async with portrait.served() as call:
        await call("POST", f"/months/{FIRST:%Y-%m}/close", by="head")
    await run_job(portrait, "close-months")
    rows = await portrait.rows("SELECT customer_id, energy_wh, completeness FROM portrait.usage_revision ORDER BY 1")
    assert [tuple(r) for r in rows] == [("C-1", DAY_WH * 10, 1.0), ("C-9", DAY_WH * (DAYS - 10), 1.0)]


def test_the_months_of_these_tests_are_whole() -> None:
    assert date(FIRST.year, FIRST.month, 1) == FIRST
    assert DAYS in (28, 29, 30, 31)
