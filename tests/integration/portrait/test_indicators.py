"""The seven indicators as staff see them: values at the borders of their windows, reasons, completeness."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from services.contracts import marketing
from services.contracts.notify import TicketOpened
from services.portrait.rules.indicator_catalogue import months_known
from services.portrait.rules.portrait_indicators import INDICATORS
from tests.integration.portrait.house import NOW, Caller, Portrait
from tests.integration.portrait.sayings import archive

TODAY = NOW.astimezone(ZoneInfo("Asia/Shanghai")).date()


def ago(*, months: int) -> date:
    """The day `months` before today, or the last one of that month."""
    index = TODAY.year * 12 + TODAY.month - 1 - months
    first = date(index // 12, index % 12 + 1, 1)
    return first.replace(day=min(TODAY.day, ((first + timedelta(days=32)).replace(day=1) - first).days))


def ticket(number: int, day: date, kind: str = "report") -> TicketOpened:
    moment = NOW + (day - TODAY)
    return TicketOpened.model_validate(
        {"customer_id": "C-1", "ticket_id": f"K-{number}", "kind": kind, "channel": "95598", "occurred_at": moment}
    )


def violation(number: int, day: date, kind: str) -> marketing.ViolationRecorded:
    return marketing.ViolationRecorded.model_validate(
        {
            "account_id": "A-1", "violation_id": f"V-{number}", "kind": kind, "occurred_on": day,
            "penalty_yuan": Decimal(300),
        }
    )  # fmt: skip


async def seen(call: Caller) -> dict[str, dict[str, Any]]:
    status, found = await call("GET", "/customers/C-1/indicators", by="manager")
    assert status == 200
    return {indicator["code"]: indicator for indicator in found}


async def months(portrait: Portrait, *, count: int, wh: int) -> None:
    """`count` whole months of usage that end with the last one, in place of any there."""
    await portrait.rows("DELETE FROM portrait.monthly_usage")
    for n in range(1, count + 1):
        energy = wh * (2 if n <= 12 else 1)
        row = f"'C-1', '{ago(months=n):%Y-%m}', 0, {energy}, 1"
        await portrait.rows(f"INSERT INTO portrait.monthly_usage VALUES ({row})")


async def test_each_indicator_tells_its_value_or_reason_formula_window_sources_and_completeness(
    portrait: Portrait,
) -> None:
    await portrait.hear(archive())
    await portrait.grant("manager", "account-manager", kind="everything")
    await portrait.grant("contact", "customer-contact", kind="owner", scope_id="C-1")
    async with portrait.served() as call:
        assert (await call("GET", "/customers/C-1/indicators", by="contact"))[0] == 403
        bare = await seen(call)
        assert tuple(bare) == INDICATORS
        assert [i["number"] for i in bare.values()] == [1, 2, 3, 4, 5, 6, 7]
        assert {c: i["reason_en"] for c, i in bare.items() if i["value"] is None} == {
            "avg_monthly_kwh": "fewer than 12 months of data",
            "kwh_growth_rate": "fewer than 24 months of data",
            "complaint_rate": "there was no service contact in the period",
            "penalty_bill_share": "there is no bill in the period",
        }
        assert all(i["formula_zh"] and i["formula_en"] and i["sources"] for i in bare.values())
        assert (bare["violation_index"]["window_from"], bare["violation_index"]["completeness"]) == (
            str(ago(months=36)),
            1,
        )
        assert (bare["avg_monthly_kwh"]["data_months"], bare["avg_monthly_kwh"]["expected_months"]) == (0, 12)

        await months(portrait, count=11, wh=1_000_000)
        assert (await seen(call))["avg_monthly_kwh"]["value"] is None
        await months(portrait, count=23, wh=1_000_000)
        found = await seen(call)
        assert (found["avg_monthly_kwh"]["value"], found["avg_monthly_kwh"]["completeness"]) == (2000, 1)
        assert (found["kwh_growth_rate"]["value"], found["kwh_growth_rate"]["data_months"]) == (None, 23)
        await months(portrait, count=24, wh=1_000_000)
        assert (await seen(call))["kwh_growth_rate"]["value"] == 1

        border = ago(months=12)
        await portrait.hear(ticket(1, border), ticket(2, border - timedelta(days=1)), ticket(3, TODAY, "complaint"))
        found = await seen(call)
        assert found["monthly_service_rate"]["value"] == pytest.approx(2 / 12)  # 1,000 kVA
        assert found["complaint_rate"]["value"] == 0.5
        old = ago(months=36)
        await portrait.hear(violation(1, old - timedelta(days=1), "theft"), violation(2, TODAY, "theft"))
        assert (await seen(call))["violation_index"]["value"] == 3
        await portrait.hear(violation(3, old, "V1"))
        assert (await seen(call))["violation_index"]["value"] == pytest.approx(3.125, abs=0.001)


@pytest.mark.parametrize(
    ("since", "known"),
    [(None, 0), (date(2026, 4, 1), 0), (date(2026, 3, 31), 0), (date(2026, 2, 28), 1), (date(2025, 3, 31), 12),
     (date(2010, 1, 1), 12)],
)  # fmt: skip
def test_months_in_which_the_customer_was_one(since: date | None, known: int) -> None:
    assert months_known(since=since, as_of=date(2026, 3, 31), window=12) == known
