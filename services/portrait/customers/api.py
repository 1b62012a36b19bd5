"""HTTP of the archive: search, timeline, groups, visit brief, saved filters, assignments."""

import asyncio
from typing import Annotated, Any, get_args

from fastapi import Path, Query
from fastapi.responses import Response

from services.contracts.marketing import CustomerRole
from services.kernel.http import Work, allow, service_router
from services.portrait import queries
from services.portrait.customers import groups, schemas, selections
from services.portrait.customers import timeline as timelines
from services.portrait.customers.briefing import visit_brief
from services.portrait.customers.search import search
from services.portrait.documents.brief import VisitBrief

router = service_router("portrait")
CustomerId = Annotated[str, Path(max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:\-]*$")]
Uuid = Annotated[str, Path(pattern=r"^[0-9a-f\-]{36}$")]
_CUSTOMER_ROLES = frozenset(get_args(CustomerRole))
_STAFF = ("account-manager", "department-head")
_PDF: dict[int | str, dict[str, Any]] = {200: {"content": {"application/pdf": {}}}}
_CSV: dict[int | str, dict[str, Any]] = {200: {"content": {"text/csv": {"schema": {"type": "string"}}}}}


@router.get("/search", summary="查找客户 Find a customer by number, name, address, meter or initials")
@allow(*_STAFF, "service-desk", "inspector")
async def find(
    work: Work,
    q: Annotated[str, Query(min_length=1, max_length=100)],
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> list[schemas.Found]:
    found = await search(work, words=q, limit=limit)
    await work.audit(action="customers-searched", object_type="search", object_id="-", after=q, rows=max(len(found), 1))
    return found


@router.get("/customers/{customer_id}/timeline", summary="客户时间线 Everything that happened, newest first")
@allow(*_STAFF, *_CUSTOMER_ROLES)
async def timeline(
    customer_id: CustomerId,
    work: Work,
    kind: Annotated[list[schemas.TimelineKind] | None, Query(max_length=11)] = None,
    before: Annotated[str, Query(max_length=400)] = "",
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> schemas.Timeline:
    await queries.profile_of(work, customer_id=customer_id)
    await work.audit(action="timeline-read", object_type="customer", object_id=customer_id, owner_id=customer_id)
    internal = work.actor.role not in _CUSTOMER_ROLES
    return await timelines.timeline(
        work, customer_id=customer_id, kinds=kind or [], internal=internal, before=before, limit=limit
    )


@router.get("/groups/{group_id}", summary="集团汇总 A group rolled up from its members")
@allow(*_STAFF)
async def group(group_id: Annotated[str, Path(max_length=64)], work: Work) -> schemas.Group:
    found = await groups.group(work, group_id=group_id)
    await work.audit(action="group-read", object_type="group", object_id=group_id, rows=len(found.customer_ids))
    return found


@router.get(
    "/customers/{customer_id}/visit-brief.pdf", summary="走访简报 Visit brief, one page",
    response_class=Response, responses=_PDF,
)  # fmt: skip
@allow("account-manager", "department-head", "inspector")
async def brief(customer_id: CustomerId, work: Work) -> Response:
    profile = await queries.profile_of(work, customer_id=customer_id)
    await work.audit(action="visit-brief-made", object_type="customer", object_id=customer_id, owner_id=customer_id)
    data = await visit_brief(work, profile=profile)
    body = await asyncio.to_thread(_as_pdf, data)
    name = f'attachment; filename="{customer_id}-visit-brief.pdf"'
    return Response(body, media_type="application/pdf", headers={"content-disposition": name})


def _as_pdf(data: VisitBrief) -> bytes:
    # Here, since the library of PDF takes longer to load than most of the service, and this route alone needs it.
    from services.portrait.documents.visit_brief import visit_brief_pdf

    return visit_brief_pdf(data)


@router.post("/filters", summary="保存筛选 Save a filter", status_code=201)
@allow(*_STAFF)
async def save_filter(work: Work, body: schemas.FilterToSave) -> schemas.SavedFilter:
    return await selections.save_filter(work, name=body.name, criteria=body.criteria)


@router.get("/filters", summary="我的筛选 My filters")
@allow(*_STAFF)
async def filters(work: Work) -> list[schemas.SavedFilter]:
    return await selections.own_filters(work)


@router.get("/filters/{filter_id}/customers", summary="筛选结果 Customers of a filter")
@allow(*_STAFF)
async def filtered(
    filter_id: Uuid,
    work: Work,
    after: Annotated[str, Query(max_length=64)] = "",
    limit: Annotated[int, Query(ge=1, le=200)] = 100,
) -> schemas.Selection:
    saved = await selections.own_filter(work, filter_id=filter_id)
    return await selections.selected(work, criteria=saved.criteria, after=after, limit=limit)


@router.get(
    "/filters/{filter_id}/customers.csv", summary="导出筛选结果 Export the customers of a filter",
    response_class=Response, responses=_CSV,
)  # fmt: skip
@allow(*_STAFF)
async def export(filter_id: Uuid, work: Work) -> Response:
    saved = await selections.own_filter(work, filter_id=filter_id)
    found = await selections.selected(work, criteria=saved.criteria, limit=selections.MOST_EXPORTED)
    selections.refuse_if_more(found, most=selections.MOST_EXPORTED)
    await work.audit(
        action="customers-exported", object_type="filter", object_id=filter_id, rows=max(len(found.items), 1)
    )
    body = await asyncio.to_thread(lambda: "".join(selections.as_csv(found)).encode())
    return Response(
        body,
        media_type="text/csv; charset=utf-8",
        headers={"content-disposition": 'attachment; filename="customers.csv"'},
    )


@router.post("/filters/{filter_id}/assignments", summary="批量指派 Assign all customers of a filter", status_code=201)
@allow("department-head")
async def assign(filter_id: Uuid, work: Work, body: schemas.BulkAssignment) -> schemas.Assigned:
    return await selections.assign(work, filter_id=filter_id, order=body)


@router.get("/assignments", summary="我的任务 What is assigned to me")
@allow(*_STAFF, "inspector", "trainer")
async def assignments(work: Work, limit: Annotated[int, Query(ge=1, le=200)] = 100) -> list[schemas.Assignment]:
    return await selections.own_assignments(work, limit=limit)


@router.post("/assignments/{assignment_id}/outcome", summary="办结任务 End an assignment", status_code=204)
@allow(*_STAFF, "inspector", "trainer")
async def finish(assignment_id: Uuid, work: Work, body: schemas.Outcome) -> None:
    await selections.finish(work, assignment_id=assignment_id, outcome=body.outcome)
