"""Reads of inspection, each under the caller's scope."""

from datetime import date
from typing import Any

from sqlalchemy import Row, select

from services.inspection.tables import customer, hazard, hazard_step, inspection_plan, photo, site
from services.kernel.auth.grants import visible
from services.kernel.errors import InvalidInput, NotFound
from services.kernel.work import UnitOfWork


async def due_sites(work: UnitOfWork, *, until: date | None, after: str, limit: int) -> list[Row[Any]]:
    """By due date, then site; `after` is the last row of the page before as `2026-05-01,S-1`, empty for the first."""
    p = inspection_plan
    query = (
        select(p, site.c.name.label("site_name"), customer.c.name.label("customer_name"))
        .join(site, site.c.site_id == p.c.site_id)
        .join(customer, customer.c.customer_id == p.c.customer_id)
        .where(visible(p.c.customer_id, work=work))
        .order_by(p.c.due_on, p.c.site_id)
        .limit(limit)
    )
    if until is not None:
        query = query.where(p.c.due_on <= until)
    if after:
        day, _, last = after.partition(",")
        try:
            on = date.fromisoformat(day)
        except ValueError as error:
            raise InvalidInput(
                zh="after 须取自上一页的最后一行（到期日,场所）。",
                en="after must be due date and site of the last row of the page before.",
                field="after",
            ) from error
        query = query.where((p.c.due_on > on) | ((p.c.due_on == on) & (p.c.site_id > last)))
    return list((await work.db.execute(query)).all())


async def hazards(work: UnitOfWork, *, status: str | None, after: str, limit: int) -> list[Row[Any]]:
    """By id; `after` is the last id of the page before."""
    query = select(hazard).where(visible(hazard.c.customer_id, work=work), hazard.c.hazard_id > after)
    if status is not None:
        query = query.where(hazard.c.status == status)
    return list((await work.db.execute(query.order_by(hazard.c.hazard_id).limit(limit))).all())


async def one_hazard(work: UnitOfWork, *, hazard_id: str) -> tuple[Row[Any], list[Row[Any]]]:
    """The hazard and its steps. Raises `NotFound`."""
    query = select(hazard).where(hazard.c.hazard_id == hazard_id, visible(hazard.c.customer_id, work=work))
    row = (await work.db.execute(query)).first()
    if row is None:
        raise NotFound(what_zh="隐患", what_en="hazard", field="hazard_id")
    steps = select(hazard_step).where(hazard_step.c.hazard_id == hazard_id).order_by(hazard_step.c.version)
    return row, list((await work.db.execute(steps)).all())


async def jpeg_of(work: UnitOfWork, *, hazard_id: str, photo_id: str) -> bytes:
    """Raises `NotFound`."""
    query = select(photo.c.jpeg).where(
        photo.c.photo_id == photo_id, photo.c.hazard_id == hazard_id, visible(photo.c.customer_id, work=work)
    )
    jpeg = (await work.db.execute(query)).scalar_one_or_none()
    if jpeg is None:
        raise NotFound(what_zh="照片", what_en="photo", field="photo_id")
    return bytes(jpeg)
