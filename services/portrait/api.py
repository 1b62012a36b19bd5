"""HTTP of portrait. Reads of one customer are audited; the answer's model follows the caller's role."""

from typing import Annotated, get_args

from fastapi import Path, Query

from services.contracts.envelope import Day
from services.contracts.marketing import CustomerRole
from services.kernel.hot_reads import hot
from services.kernel.hot_routes import Found
from services.kernel.http import Work, allow, service_router
from services.portrait import queries, schemas
from services.portrait.customers.indicators import seven_indicators
from services.portrait.customers.one_customer import READ_CUSTOMER, latest_score
from services.portrait.scoring.results import scores_of

router = service_router("portrait")
CustomerId = Annotated[str, Path(max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:\-]*$")]
_CUSTOMER_ROLES = frozenset(get_args(CustomerRole))
_STAFF = ("account-manager", "department-head", "analyst")


@router.get("/customers", summary="客户列表 Customers")
@allow(*_STAFF)
async def customers(
    work: Work,
    after: Annotated[str, Query(max_length=64)] = "",
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> schemas.CustomerPage:
    return await queries.customer_page(work, after=after, limit=limit)


@router.get("/customers/{customer_id}", summary="客户画像 One customer")
@allow(*_STAFF, *_CUSTOMER_ROLES)
@hot(READ_CUSTOMER)
async def customer(customer_id: CustomerId, found: Found) -> schemas.CustomerForStaff | schemas.CustomerForItself:
    profile, accounts = found.row, queries.accounts_of(found.row)
    score = await latest_score(found)
    if found.role in _CUSTOMER_ROLES:
        return schemas.CustomerForItself(customer_id=customer_id, name=profile.name, accounts=accounts, score=score)
    return schemas.CustomerForStaff(
        customer_id=customer_id,
        name=profile.name,
        accounts=accounts,
        score=score,
        key_account=profile.key_account,
        importance_grade=profile.body["importance_grade"],
        version=profile.version,
        classes=profile.classes,
        primary_class=profile.body["primary_class"],
        attention_level=profile.attention_level,
        attention_reasons=profile.body["attention_reasons"],
        cycle_factor=profile.cycle_factor,
        explanation=profile.explanation,
    )


@router.get("/customers/{customer_id}/indicators", summary="画像七项指标 The seven indicators explained")
@allow(*_STAFF)
async def indicators(customer_id: CustomerId, work: Work) -> list[schemas.PortraitIndicator]:
    await queries.profile_of(work, customer_id=customer_id)
    await work.audit(action="indicators-read", object_type="customer", object_id=customer_id, owner_id=customer_id)
    return await seven_indicators(work, customer_id=customer_id)


@router.get("/customers/{customer_id}/scores", summary="能效评分 Scores by month")
@allow(*_STAFF, *_CUSTOMER_ROLES)
async def scores(
    customer_id: CustomerId, work: Work, limit: Annotated[int, Query(ge=1, le=60)] = 24
) -> list[schemas.Score]:
    await queries.profile_of(work, customer_id=customer_id)
    return await scores_of(work, customer_id=customer_id, limit=limit)


@router.get("/customers/{customer_id}/readings", summary="日负荷曲线 Load curves of a day")
@allow(*_STAFF, *_CUSTOMER_ROLES)
async def readings(customer_id: CustomerId, day: Annotated[Day, Query()], work: Work) -> schemas.DayCurves:
    await queries.profile_of(work, customer_id=customer_id)
    await work.audit(action="readings-read", object_type="customer", object_id=customer_id, owner_id=customer_id)
    return await queries.day_curves(work, customer_id=customer_id, day=day)
