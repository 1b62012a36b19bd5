"""HTTP of metering: completeness, registers against curves, the month close."""

from typing import Annotated, get_args

from fastapi import Path, Query

from services.contracts.envelope import Day
from services.contracts.marketing import CustomerRole
from services.kernel.http import Work, allow, service_router
from services.portrait import queries as customers
from services.portrait.metering import queries, schemas
from services.portrait.metering.closing import close_month
from services.portrait.metering.month_report import closes, customer_month

router = service_router("portrait")
CustomerId = Annotated[str, Path(max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:\-]*$")]
Month = Annotated[str, Path(pattern=r"^20\d{2}-(0[1-9]|1[0-2])$")]
_CUSTOMER_ROLES = frozenset(get_args(CustomerRole))
_STAFF = ("account-manager", "department-head", "analyst")


@router.get("/customers/{customer_id}/completeness", summary="数据完整性 Completeness of readings by point and day")
@allow(*_STAFF, *_CUSTOMER_ROLES)
async def completeness(
    customer_id: CustomerId, work: Work, from_day: Annotated[Day, Query()], to_day: Annotated[Day, Query()]
) -> schemas.Completeness:
    await customers.profile_of(work, customer_id=customer_id)
    return await queries.completeness(work, customer_id=customer_id, from_day=from_day, to_day=to_day)


@router.get("/customers/{customer_id}/slots", summary="日曲线及质量标记 A day's intervals with quality and marks")
@allow(*_STAFF, *_CUSTOMER_ROLES)
async def slots(customer_id: CustomerId, work: Work, day: Annotated[Day, Query()]) -> schemas.DaySlots:
    await customers.profile_of(work, customer_id=customer_id)
    await work.audit(action="readings-read", object_type="customer", object_id=customer_id, owner_id=customer_id)
    return await queries.day_slots(work, customer_id=customer_id, day=day)


@router.get("/customers/{customer_id}/months/{month}", summary="月度电量与表码核对 A month: registers against curves")
@allow(*_STAFF, *_CUSTOMER_ROLES)
async def month_of(customer_id: CustomerId, month: Month, work: Work) -> schemas.CustomerMonth:
    await customers.profile_of(work, customer_id=customer_id)
    await work.audit(action="month-read", object_type="customer", object_id=customer_id, owner_id=customer_id)
    return await customer_month(work, customer_id=customer_id, month=month)


@router.post("/months/{month}/close", summary="月度关账 Close a month", status_code=202)
@allow("department-head")
async def close(month: Month, work: Work) -> schemas.MonthClosed:
    await close_month(work, month=month)
    return schemas.MonthClosed(
        month=month, closed_at=work.now, closed_by=work.actor.person_id, finished_at=None
    )  # fmt: skip


@router.get("/months", summary="已关账月份 Closed months")
@allow(*_STAFF)
async def months(work: Work, limit: Annotated[int, Query(ge=1, le=120)] = 24) -> list[schemas.MonthClosed]:
    return list(await closes(work, limit=limit))
