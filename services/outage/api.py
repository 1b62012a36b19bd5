"""Routes below /outage/v1."""

from datetime import datetime, timedelta
from typing import Annotated, Literal

from fastapi import Path, Query
from pydantic import StringConstraints

from services.contracts.envelope import Instant
from services.kernel.clock import BUSINESS_ZONE
from services.kernel.errors import NotFound
from services.kernel.http import Work, allow, service_router
from services.outage import incidents, queries, schemas
from services.outage.rules.parameters import value_of
from services.outage.rules.reliability import indices

Month = Annotated[str, StringConstraints(pattern=r"^20[0-9]{2}-(0[1-9]|1[0-2])$")]

router = service_router("outage")

_CUSTOMER = ("customer-contact", "customer-electrician", "customer-administrator")
_HOUSE = ("dispatcher", "planner", "account-manager", "department-head", "service-desk", "analyst")
OutageId = Annotated[str, Path(max_length=64)]
CustomerId = Annotated[str, Path(max_length=64)]


@router.get("/outages", summary="停电事件列表 Outages, newest first")
@allow(*_HOUSE, *_CUSTOMER)
async def outages(
    work: Work,
    status: Literal["open", "restored"] | None = None,
    before: Annotated[Instant | None, Query(description="detected before; for the next page")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> list[schemas.OutageSummary]:
    rows = await queries.outages(work, status=status, before=before, limit=limit)
    return [schemas.OutageSummary.model_validate(r, from_attributes=True) for r in rows]


@router.get("/outages/{outage_id}", summary="停电事件及受影响户号 One outage with whom it touches and who was told")
@allow(*_HOUSE, *_CUSTOMER)
async def outage(outage_id: OutageId, work: Work) -> schemas.OutageDetail:
    row = await queries.one_outage(work, outage_id=outage_id)
    if row is None:
        raise NotFound(what_zh="停电事件", what_en="outage", field="outage_id")
    points = await queries.affected_points(work, outage_id=outage_id)
    told = await queries.notices(work, outage_id=outage_id)
    return schemas.OutageDetail(
        **schemas.OutageSummary.model_validate(row, from_attributes=True).model_dump(),
        affected=[schemas.AffectedPoint.model_validate(p, from_attributes=True) for p in points],
        notices=[schemas.Notice.model_validate(n, from_attributes=True) for n in told],
    )


@router.post("/outages/{outage_id}/estimate", summary="预计复电时间 Tell when supply is expected back")
@allow("dispatcher")
async def estimate(outage_id: OutageId, body: schemas.Estimate, work: Work) -> schemas.Accepted:
    await incidents.estimate(work, outage_id=outage_id, expected_at=body.expected_at)
    return schemas.Accepted(outage_id=outage_id)


@router.get("/customers/{customer_id}/outages", summary="客户停电记录 Outages of one customer")
@allow(*_HOUSE, *_CUSTOMER)
async def customer_outages(customer_id: CustomerId, work: Work) -> schemas.CustomerOutages:
    if not await queries.customer_exists(work, customer_id=customer_id):
        raise NotFound(what_zh="客户", what_en="customer", field="customer_id")
    window = value_of("repeat-window", day=work.now.astimezone(BUSINESS_ZONE).date())
    count, hours = await queries.outage_load(work, customer_id=customer_id, window=window)
    rows = await queries.customer_outages(work, customer_id=customer_id)
    return schemas.CustomerOutages(
        customer_id=customer_id,
        recent_days=window.days,
        recent_count=count,
        recent_hours=hours,
        outages=[schemas.OutageSummary.model_validate(r, from_attributes=True) for r in rows],
    )


@router.get("/reliability", summary="供电可靠性指标 Reliability indices of a month")
@allow("dispatcher", "planner", "account-manager", "department-head", "analyst")
async def reliability(work: Work, month: Month, unit: queries.Unit = "mv_user") -> schemas.Reliability:
    begin, end = _month(month)
    users = await queries.users(work, unit=unit)
    if users == 0:
        return schemas.Reliability(month=month, unit=unit, users=0)
    found = indices(
        interruptions=await queries.interruptions(work, period=(begin, end), unit=unit),
        users=users,
        period=(begin, end),
        sustained_over=value_of("sustained-over", day=begin.date()),
    )
    return schemas.Reliability(month=month, unit=unit, users=users, **vars(found))


def _month(month: str) -> tuple[datetime, datetime]:
    """First instant of the month and of the next, by the calendar of Asia/Shanghai."""
    begin = datetime.strptime(month, "%Y-%m").replace(tzinfo=BUSINESS_ZONE)
    return begin, (begin + timedelta(days=32)).replace(day=1)
