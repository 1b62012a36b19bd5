"""Saved filters over the customers, and what is done with all that a filter selects."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import ColumnElement, Numeric, Select, String, cast, exists, func, insert, select, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import insert as upsert

from services.contracts.portrait import CustomerAssigned
from services.kernel.auth.grants import visible
from services.kernel.errors import InvalidInput, NotFound
from services.kernel.work import UnitOfWork
from services.portrait import tables as t
from services.portrait.adapters.csv_out import csv_line
from services.portrait.customers import schemas
from services.portrait.customers.calendar import local_day

MOST_ASSIGNED, MOST_EXPORTED = 5_000, 50_000


async def save_filter(work: UnitOfWork, *, name: str, criteria: schemas.Criteria) -> schemas.SavedFilter:
    filter_id = str(work.new_id(f"filter|{name}"))
    document = criteria.model_dump(mode="json", exclude_defaults=True)
    await work.db.execute(
        insert(t.saved_filter).values(
            filter_id=filter_id, name=name, owned_by=work.actor.person_id, criteria=document, saved_at=work.now
        )
    )
    await work.audit(action="filter-saved", object_type="filter", object_id=filter_id, after=document)
    return schemas.SavedFilter(filter_id=filter_id, name=name, criteria=criteria, saved_at=work.now)


async def own_filters(work: UnitOfWork) -> list[schemas.SavedFilter]:
    f = t.saved_filter
    found = await work.db.execute(
        select(f).where(f.c.owned_by == work.actor.person_id).order_by(f.c.saved_at.desc(), f.c.filter_id).limit(200)
    )
    return [_filter(row) for row in found]


async def own_filter(work: UnitOfWork, *, filter_id: str) -> schemas.SavedFilter:
    f = t.saved_filter
    where = (f.c.filter_id == filter_id, f.c.owned_by == work.actor.person_id)
    row = (await work.db.execute(select(f).where(*where))).first()
    if row is None:
        raise NotFound(what_zh="筛选", what_en="filter", field="filter_id")
    return _filter(row)


def _filter(row: Any) -> schemas.SavedFilter:
    criteria = schemas.Criteria.model_validate(row.criteria)
    return schemas.SavedFilter(filter_id=row.filter_id, name=row.name, criteria=criteria, saved_at=row.saved_at)


async def selected(
    work: UnitOfWork, *, criteria: schemas.Criteria, after: str = "", limit: int = 100
) -> schemas.Selection:
    query = _query(work, criteria).where(t.profile.c.customer_id > after).order_by(t.profile.c.customer_id)
    rows = (await work.db.execute(query.limit(limit + 1))).all()
    items = [
        schemas.Selected(**{name: row._mapping[name] for name in schemas.Selected.model_fields}) for row in rows[:limit]
    ]
    return schemas.Selection(items=items, next_after=items[-1].customer_id if len(rows) > limit else None)


def _query(work: UnitOfWork, wanted: schemas.Criteria) -> Select[Any]:
    p, s, run = t.profile.c, t.score.c, t.score_run.c
    a = func.jsonb_array_elements(p.body["accounts"]).table_valued("value").alias("a")
    capacity = (
        select(func.coalesce(func.sum(cast(a.c.value.op("->>")("contract_capacity_kva"), Numeric)), 0))
        .select_from(a)
        .scalar_subquery()
    )
    band = (
        select(s.band)
        .join(t.score_run, run.run_id == s.run_id)
        .where(s.customer_id == p.customer_id, s.band.is_not(None), run.published_at.is_not(None), ~run.trial)
        .order_by(s.month.desc(), run.published_at.desc(), s.run_id)
        .limit(1)
        .scalar_subquery()
    )
    grade = p.body["importance_grade"].astext
    conditions: list[ColumnElement[bool]] = [p.body.is_not(None), visible(p.customer_id, work=work)]
    if wanted.classes:
        conditions.append(p.classes.op("&&")(cast(list(wanted.classes), ARRAY(String))))
    if wanted.attention_at_least is not None:
        conditions.append(p.attention_level >= wanted.attention_at_least)
    if wanted.importance_grades:
        conditions.append(grade.in_(wanted.importance_grades))
    if wanted.key_account is not None:
        conditions.append(p.key_account == wanted.key_account)
    if wanted.contract_kva_at_least is not None:
        conditions.append(capacity >= wanted.contract_kva_at_least)
    if wanted.bands:
        conditions.append(band.in_(wanted.bands))
    conditions += _of_the_archive(wanted)
    return select(
        p.customer_id, p.name, p.key_account, grade.label("importance_grade"), p.classes, p.attention_level,
        capacity.label("contract_capacity_kva"), band.label("band"),
    ).where(*conditions)  # fmt: skip


def _of_the_archive(wanted: schemas.Criteria) -> list[ColumnElement[bool]]:
    p, c, area, terms = t.profile.c, t.customer.c, t.account.c, t.account_terms.c
    conditions: list[ColumnElement[bool]] = []
    if wanted.group_id is not None:
        conditions.append(exists().where(c.customer_id == p.customer_id, c.group_id == wanted.group_id))
    if wanted.service_area_ids:
        conditions.append(
            exists().where(area.customer_id == p.customer_id, area.service_area_id.in_(wanted.service_area_ids))
        )
    in_force = (terms.customer_id == p.customer_id, terms.valid_to.is_(None))
    if wanted.industry_begins_with:
        begins = terms.industry_class.startswith(wanted.industry_begins_with, autoescape=True)
        conditions.append(exists().where(*in_force, begins))
    if wanted.voltage_kv_at_least is not None:
        conditions.append(exists().where(*in_force, terms.voltage_kv >= wanted.voltage_kv_at_least))
    return conditions


async def assign(work: UnitOfWork, *, filter_id: str, order: schemas.BulkAssignment) -> schemas.Assigned:
    """One open assignment per customer, person and purpose: repeating it adds nothing.

    Raises InvalidInput for a day that has passed or for more customers than one order may hold.
    """
    if order.due_on < local_day(work.now):
        raise InvalidInput(zh="due_on 不得早于今天。", en="due_on must not lie before today.", field="due_on")
    wanted = await own_filter(work, filter_id=filter_id)
    found = await selected(work, criteria=wanted.criteria, limit=MOST_ASSIGNED)
    refuse_if_more(found, most=MOST_ASSIGNED)
    new = 0
    for customer in found.items:
        new += await _assign_one(work, customer.customer_id, filter_id, order)
    await work.audit(
        action="customers-assigned", object_type="filter", object_id=filter_id, rows=max(new, 1),
        after=order.model_dump(mode="json"),
    )  # fmt: skip
    return schemas.Assigned(customers=new, already_assigned=len(found.items) - new)


def refuse_if_more(found: schemas.Selection, *, most: int) -> None:
    if found.next_after is not None:
        raise InvalidInput(
            zh=f"筛选结果超过 {most} 户，请缩小范围。",
            en=f"The filter selects more than {most} customers; narrow it.",
            field="filter_id",
        )


async def _assign_one(work: UnitOfWork, customer_id: str, filter_id: str, order: schemas.BulkAssignment) -> int:
    s = t.assignment
    open_ = select(s.c.assignment_id).where(
        s.c.customer_id == customer_id,
        s.c.assignee_person_id == order.assignee_person_id,
        s.c.purpose == order.purpose,
        s.c.done_at.is_(None),
    )
    if (await work.db.execute(open_)).first():
        return 0
    assignment_id = str(work.new_id(f"assignment|{customer_id}|{order.purpose}"))
    await work.db.execute(
        upsert(s).values(
            assignment_id=assignment_id, customer_id=customer_id, filter_id=filter_id,
            assigned_by=work.actor.person_id, assigned_at=work.now, **order.model_dump(),
        )
    )  # fmt: skip
    work.emit(
        CustomerAssigned(
            customer_id=customer_id,
            assignment_id=assignment_id,
            assignee_person_id=order.assignee_person_id,
            purpose=order.purpose,
            due_on=order.due_on,
            assigned_by=work.actor.person_id,
            occurred_at=work.now,
        )
    )
    return 1


async def own_assignments(work: UnitOfWork, *, limit: int) -> list[schemas.Assignment]:
    s = t.assignment
    found = await work.db.execute(
        select(s)
        .where(
            s.c.assignee_person_id == work.actor.person_id,
            s.c.done_at.is_(None),
            visible(s.c.customer_id, work=work),
        )
        .order_by(s.c.due_on, s.c.customer_id)
        .limit(limit)
    )
    names = schemas.Assignment.model_fields
    return [schemas.Assignment(**{name: row._mapping[name] for name in names}) for row in found]


async def finish(work: UnitOfWork, *, assignment_id: str, outcome: str) -> None:
    """Only the assignee ends an assignment; anybody else finds none."""
    s = t.assignment
    done = await work.db.execute(
        update(s)
        .where(
            s.c.assignment_id == assignment_id,
            s.c.assignee_person_id == work.actor.person_id,
            s.c.done_at.is_(None),
        )
        .values(done_at=work.now, outcome=outcome)
        .returning(s.c.customer_id)
    )
    owner = done.scalar_one_or_none()
    if owner is None:
        raise NotFound(what_zh="任务", what_en="assignment", field="assignment_id")
    await work.audit(action="assignment-done", object_type="assignment", object_id=assignment_id, owner_id=owner)


def as_csv(selection: schemas.Selection) -> Iterator[str]:
    """With a mark that lets spreadsheets read it as UTF-8; no cell can begin a formula."""
    yield "\ufeff" + csv_line(list(schemas.Selected.model_fields))
    for item in selection.items:
        cells = item.model_dump()
        yield csv_line(["/".join(cell) if isinstance(cell, list) else cell for cell in cells.values()])
