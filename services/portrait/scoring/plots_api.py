"""HTTP of pictures: SVG, private to the caller, with an entity tag so that an unchanged one is not sent again."""

import hashlib
from typing import Annotated, Any, get_args

from fastapi import Path, Query, Request, Response

from services.contracts.envelope import Day
from services.contracts.marketing import CustomerRole
from services.kernel.http import Work, allow, service_router
from services.kernel.work import UnitOfWork
from services.portrait import queries
from services.portrait.scoring import plots

router = service_router("portrait")
CustomerId = Annotated[str, Path(max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:\-]*$")]
_CUSTOMER_ROLES = get_args(CustomerRole)
_STAFF = ("account-manager", "department-head")  # a picture cannot carry pseudonyms
_SVG: dict[int | str, dict[str, Any]] = {200: {"content": {"image/svg+xml": {}}}, 304: {"description": "unchanged"}}


@router.get(
    "/customers/{customer_id}/plots/load-curve.svg", summary="负荷曲线图 Load curves of a day up to a week",
    response_class=Response, responses=_SVG,
)  # fmt: skip
@allow(*_STAFF, *_CUSTOMER_ROLES)
async def load_curve(
    customer_id: CustomerId,
    request: Request,
    work: Work,
    day: Annotated[Day, Query()],
    days: Annotated[int, Query(ge=1, le=7)] = 1,
) -> Response:
    profile = await queries.profile_of(work, customer_id=customer_id)
    await _noted(work, customer_id)
    return _answer(request, await plots.load_curve(work, profile=profile, first=day, days=days))


@router.get(
    "/customers/{customer_id}/plots/year.svg", summary="全年负荷热力图 Heat map of a year",
    response_class=Response, responses=_SVG,
)  # fmt: skip
@allow(*_STAFF, *_CUSTOMER_ROLES)
async def year(
    customer_id: CustomerId, request: Request, work: Work, year: Annotated[int, Query(ge=2000, le=2099)]
) -> Response:
    profile = await queries.profile_of(work, customer_id=customer_id)
    await _noted(work, customer_id)
    return _answer(request, await plots.heat_map(work, profile=profile, year=year))


@router.get(
    "/customers/{customer_id}/plots/score.svg", summary="能效雷达图 Radar of a month's sub-scores",
    response_class=Response, responses=_SVG,
)  # fmt: skip
@allow(*_STAFF, *_CUSTOMER_ROLES)
async def score(
    customer_id: CustomerId,
    request: Request,
    work: Work,
    month: Annotated[str, Query(pattern=r"^20\d{2}-(0[1-9]|1[0-2])$")],
) -> Response:
    profile = await queries.profile_of(work, customer_id=customer_id)
    await _noted(work, customer_id)
    return _answer(request, await plots.score_radar(work, profile=profile, month=month))


@router.get(
    "/customers/{customer_id}/plots/portrait.svg", summary="客户画像雷达图 Radar of the seven indicators, for staff",
    response_class=Response, responses=_SVG,
)  # fmt: skip
@allow(*_STAFF)
async def portrait(customer_id: CustomerId, request: Request, work: Work) -> Response:
    profile = await queries.profile_of(work, customer_id=customer_id)
    await _noted(work, customer_id)
    return _answer(request, await plots.portrait_radar(profile=profile))


async def _noted(work: UnitOfWork, customer_id: str) -> None:
    await work.audit(action="plot-read", object_type="customer", object_id=customer_id, owner_id=customer_id)


def _answer(request: Request, svg: bytes) -> Response:
    tag = f'"{hashlib.sha256(svg).hexdigest()[:32]}"'
    headers = {"cache-control": "private, max-age=300", "etag": tag, "vary": "authorization"}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(svg, media_type="image/svg+xml", headers=headers)
