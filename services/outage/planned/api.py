"""Routes of planned outages: entered, moved, taken back, held back, let go, begun."""

from typing import Annotated, Any, Literal

from fastapi import Path, Query
from sqlalchemy import Row

from services.contracts.envelope import Instant
from services.kernel.http import Work, allow, service_router
from services.outage.planned import changes, notices, schemas, starting
from services.outage.schemas import Accepted

router = service_router("outage")
WATCHERS = ("planner", "dispatcher", "account-manager", "department-head", "service-desk")
OutageId = Annotated[str, Path(max_length=64)]


@router.post("/planned-outages", status_code=202, summary="发布计划停电 Enter a planned outage for publication")
@allow("planner")
async def plan(body: schemas.NewPlan, work: Work) -> Accepted:
    return Accepted(outage_id=await changes.accept(work, **body.model_dump()))


@router.get("/planned-outages", summary="计划停电列表 Planned outages, latest start first")
@allow(*WATCHERS)
async def plans(
    work: Work,
    status: Literal["accepted", "published", "started", "cancelled"] | None = None,
    before: Annotated[Instant | None, Query(description="starts before; for the next page")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> list[schemas.PlanSummary]:
    return [_summary(r) for r in await notices.plans(work, status=status, before=before, limit=limit)]


@router.get(
    "/planned-outages/{outage_id}", summary="计划停电及告知证明 A planned outage and who is shown to know of it"
)
@allow(*WATCHERS)
async def one_plan(outage_id: OutageId, work: Work) -> schemas.PlanDetail:
    row = await notices.plan_of(work, outage_id=outage_id)
    customers = [
        schemas.PlanCustomer.model_validate({**c._mapping, "standing": notices.standing_of(c)})
        for c in await notices.customers_of(work, outage_id=outage_id)
    ]
    return schemas.PlanDetail(
        **_summary(row).model_dump(), override_reason=row.override_reason, customers=customers
    )  # fmt: skip


@router.post("/planned-outages/{outage_id}/change", summary="变更计划停电 Move a planned outage")
@allow("planner")
async def change(outage_id: OutageId, body: schemas.Window, work: Work) -> Accepted:
    await changes.change(work, outage_id=outage_id, **body.model_dump())
    return Accepted(outage_id=outage_id)


@router.post("/planned-outages/{outage_id}/cancel", summary="取消计划停电 Take a planned outage back")
@allow("planner")
async def cancel(outage_id: OutageId, body: schemas.Reason, work: Work) -> Accepted:
    await changes.cancel(work, outage_id=outage_id, reason=body.reason)
    return Accepted(outage_id=outage_id)


@router.post(
    "/planned-outages/{outage_id}/override", summary="未证明告知时放行 Let a plan begin without proof of notice"
)
@allow("dispatcher", "department-head")
async def override(outage_id: OutageId, body: schemas.Reason, work: Work) -> Accepted:
    await starting.override(work, outage_id=outage_id, reason=body.reason)
    return Accepted(outage_id=outage_id)


@router.post("/planned-outages/{outage_id}/start", summary="开始计划停电 Begin a planned outage")
@allow("dispatcher")
async def start(outage_id: OutageId, work: Work) -> Accepted:
    await starting.start(work, outage_id=outage_id)
    return Accepted(outage_id=outage_id)


def _summary(row: Row[Any]) -> schemas.PlanSummary:
    return schemas.PlanSummary.model_validate({**row._mapping, "announced": row.said_version == row.version})
