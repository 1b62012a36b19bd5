"""Who an announcement is for: a filter over customers and the roles of their people, drawn within a scope."""

from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import ColumnElement, and_, exists, func, or_, select

from services.contracts.envelope import Id
from services.contracts.marketing import CustomerRole, ImportanceGrade
from services.contracts.portrait import FourHighClass
from services.kernel.auth.grants import visible
from services.kernel.work import UnitOfWork
from services.notify.directory.reachability import engaged_now
from services.notify.tables import account, customer, engagement

Industry = Annotated[str, Field(pattern=r"^[A-T]\d{0,4}$")]


class Audience(BaseModel):
    """Every list that is not empty narrows; within a list one match is enough. Industries match by their beginning."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    roles: Annotated[tuple[CustomerRole, ...], Field(min_length=1, max_length=3)]
    classes: Annotated[tuple[FourHighClass, ...], Field(max_length=4)] = ()
    industries: Annotated[tuple[Industry, ...], Field(max_length=50)] = ()
    areas: Annotated[tuple[Id, ...], Field(max_length=50)] = ()
    importance: Annotated[tuple[ImportanceGrade, ...], Field(max_length=5)] = ()
    voltage_from_kv: Annotated[Decimal, Field(ge=0, le=1000, max_digits=6, decimal_places=2)] | None = None
    voltage_below_kv: Annotated[Decimal, Field(ge=0, le=1000, max_digits=6, decimal_places=2)] | None = None
    customer_ids: Annotated[tuple[Id, ...], Field(max_length=500)] = ()


async def people(work: UnitOfWork, *, audience: Audience) -> dict[str, str]:
    """Person -> the customer it concerns for them (the first of several), within the caller's scope."""
    query = (
        select(engagement.c.person_id, func.min(engagement.c.customer_id).label("customer_id"))
        .join_from(engagement, customer, customer.c.customer_id == engagement.c.customer_id)
        .where(*engaged_now(work), engagement.c.role.in_(audience.roles), *_narrowed(work, audience))
        .group_by(engagement.c.person_id)
    )
    return {row.person_id: row.customer_id for row in await work.db.execute(query)}


def _narrowed(work: UnitOfWork, audience: Audience) -> list[ColumnElement[bool]]:
    c, area = customer.c, work.tables.owner_area.c
    where: list[ColumnElement[bool]] = [c.key_account, visible(c.customer_id, work=work)]
    if audience.classes:
        where.append(c.classes.overlap(list(audience.classes)))
    if audience.industries:
        listed = func.array_to_string(c.industry_classes, " ")
        where.append(or_(*(func.concat(" ", listed).like(f"% {i}%") for i in audience.industries)))
    if audience.areas:
        where.append(exists().where(area.owner_id == c.customer_id, area.area_id.in_(audience.areas)))
    if audience.importance:
        where.append(c.importance_grade.in_(audience.importance))
    if audience.customer_ids:
        where.append(c.customer_id.in_(audience.customer_ids))
    if audience.voltage_from_kv is not None or audience.voltage_below_kv is not None:
        where.append(exists().where(account.c.customer_id == c.customer_id, _voltage(audience)))
    return where


def _voltage(audience: Audience) -> ColumnElement[bool]:
    """One account in `[from, below)`."""
    limits: list[ColumnElement[bool]] = [account.c.voltage_kv.is_not(None)]
    if audience.voltage_from_kv is not None:
        limits.append(account.c.voltage_kv >= audience.voltage_from_kv)
    if audience.voltage_below_kv is not None:
        limits.append(account.c.voltage_kv < audience.voltage_below_kv)
    return and_(*limits)
