"""What other services and systems say in these tests."""

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from services.contracts import marketing
from services.contracts.envelope import Event
from services.contracts.metering import IntervalBlockRecorded
from services.contracts.notify import TicketOpened
from services.contracts.outage import Affected, AffectedPart, FaultOutageDetected, OutageSupplyRestored
from services.kernel.broker import Record
from tests.integration.portrait.house import NOW, Portrait


def archive(
    customer_id: str = "C-1", *, version: int = 1, grade: marketing.ImportanceGrade = "none",
    terms: tuple[marketing.AgreementTerms, ...] = (),
) -> marketing.CustomerChanged:  # fmt: skip
    number = customer_id.removeprefix("C-")
    return marketing.CustomerChanged(
        customer_id=customer_id,
        version=version,
        name=f"客户{number}",
        accounts=(
            marketing.Account(
                account_id=f"A-{number}",
                service_area_id=f"area-{number}",
                terms=terms or (agreement(date(2015, 1, 1), grade=grade),),
            ),
        ),
        sites=(marketing.Site(site_id=f"S-{number}", name="总降", address="工业路1号", asset_ids=(f"T-{number}",)),),
        usage_points=(
            marketing.UsagePoint(
                usage_point_id=f"UP-{number}",
                account_id=f"A-{number}",
                site_id=f"S-{number}",
                feeder_ids=("F-1",),
            ),
        ),
    )


def agreement(
    begin: date, end: date | None = None, *, grade: marketing.ImportanceGrade = "none", kva: int = 1000
) -> marketing.AgreementTerms:
    return marketing.AgreementTerms(
        valid_from=begin,
        valid_to=end,
        industry_class="C31",
        supply_nature="industrial",
        voltage_kv=Decimal(10),
        contract_capacity_kva=Decimal(kva),
        operating_capacity_kva=Decimal(kva),
        tariff_type="two-part",
        importance_grade=grade,
    )


def hazard(kind: type[Any], *, version: int, status: str, hazard_id: str = "H-1", grade: str = "critical") -> Event:
    event = kind(
        hazard_id=hazard_id,
        version=version,
        customer_id="C-1",
        site_id="S-1",
        item_code="item-1",
        grade=grade,
        status=status,
        finding="油位偏低",
        deadline=NOW + timedelta(days=7),
        occurred_at=NOW,
    )
    assert isinstance(event, Event)
    return event


def touching(*customer_ids: str, version: int = 1, part: int = 1, parts: int = 1) -> AffectedPart:
    rows = tuple(
        Affected(account_id=c.replace("C", "A"), customer_id=c, usage_point_id=c.replace("C", "UP"))
        for c in customer_ids
    )
    return AffectedPart(set_id="set-1", set_version=version, part=part, parts=parts, affected=rows)


def fault(outage_id: str, *, days_ago: int, affected: AffectedPart) -> FaultOutageDetected:
    moment = NOW - timedelta(days=days_ago)
    return FaultOutageDetected(
        outage_id=outage_id, feeder_id="F-1", fault_id=f"fault-{outage_id}", detected_at=moment, affected=affected
    )


def restored(outage_id: str, *, days_ago: int, hours: float, affected: AffectedPart) -> OutageSupplyRestored:
    begun = NOW - timedelta(days=days_ago)
    return OutageSupplyRestored(
        outage_id=outage_id,
        feeder_id="F-1",
        fault_id=f"fault-{outage_id}",
        detected_at=begun,
        restored_at=begun + timedelta(hours=hours),
        affected=affected,
    )


def complaint() -> TicketOpened:
    return TicketOpened(customer_id="C-1", ticket_id="K-1", kind="complaint", channel="95598", occurred_at=NOW)


def bill(bill_id: str, *, yuan: int) -> marketing.BillIssued:
    end = NOW.date() - timedelta(days=10)
    return marketing.BillIssued(
        account_id="A-1",
        bill_id=bill_id,
        period_from=end - timedelta(days=30),
        period_to=end,
        energy_kwh=Decimal(120_000),
        amount_yuan=Decimal(yuan),
        due_on=end + timedelta(days=15),
    )


def last_month() -> date:
    return (NOW.date().replace(day=1) - timedelta(days=1)).replace(day=1)


def month_of_readings(portrait: Portrait, *, point: str) -> list[Record]:
    first, records, hours = last_month(), [], range(24)
    days = (NOW.date().replace(day=1) - first).days
    for day in (first + timedelta(days=n) for n in range(days)):
        start = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(hours=8)
        for channel, scale in (("active-import", 1.0), ("reactive-lagging", 0.3)):
            values = [int(scale * (300_000 if 8 <= hour < 20 else 200_000)) for hour in hours]
            event = {
                "usage_point_id": point, "channel": channel, "kind": "energy", "start": start.isoformat(),
                "step_minutes": 60, "values": values, "quality": "measured", "revision": 0,
                "source_time": NOW.isoformat(),
            }  # fmt: skip
            records.append(portrait.record(IntervalBlockRecorded.from_wire(json.dumps(event).encode())))
    return records
