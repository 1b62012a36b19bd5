"""Leave, deputies, hand-overs and duty: who answers in whose place, entered here or said by personnel."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import delete, exists, insert, or_, select, true
from sqlalchemy.dialects.postgresql import insert as upsert

from services.contracts.organisation import LeaveChanged
from services.kernel.auth.grants import withdraw_grants
from services.kernel.errors import InvalidInput, NotFound
from services.kernel.work import UnitOfWork
from services.notify.directory.posts import lock_directory, publish_posts
from services.notify.directory.publishing import posts_changed
from services.notify.tables import duty, handover, holding, leave, person, post, post_deputy, unit


async def take_leave(
    work: UnitOfWork, *, person_id: str, starts_at: datetime, ends_at: datetime, deputy_id: str | None, kind: str
) -> dict[str, Any]:
    """The deputies' grants for the period follow. Raises `InvalidInput`, `NotFound` outside the scope."""
    if starts_at >= ends_at:
        raise _invalid("ends_at", "休假结束时间须晚于开始时间。", "The leave must end after it starts.")
    if deputy_id == person_id:
        raise _invalid("deputy_id", "不能由本人代理本人。", "Nobody is their own deputy.")
    await _require_staff(work, person_id, field="person_id")
    if deputy_id is not None:
        await _require_known(work, deputy_id, field="deputy_id")
    row: dict[str, Any] = {
        "leave_id": f"local:{work.new_id('leave')}", "person_id": person_id, "starts_at": starts_at,
        "ends_at": ends_at, "deputy_id": deputy_id, "kind": kind, "source": "local",
        "entered_by": work.actor.person_id, "entered_at": work.now,
    }  # fmt: skip
    await _change(work, insert(leave).values(**row))
    await work.audit(action="leave-entered", object_type="leave", object_id=row["leave_id"], after=row)
    return row


async def store_leave(work: UnitOfWork, *, event: LeaveChanged) -> None:
    """As personnel says; a leave entered here stands beside it."""
    values = event.model_dump(include={"leave_id", "person_id", "starts_at", "ends_at", "deputy_id"})
    values |= {"kind": "leave", "source": "personnel", "entered_by": "personnel", "entered_at": work.now}
    await lock_directory(work)
    changed = upsert(leave).values(**values).on_conflict_do_update(index_elements=[leave.c.leave_id], set_=values)
    await work.db.execute(changed)
    await publish_posts(work)


async def remove_leave(work: UnitOfWork, *, leave_id: str) -> None:
    await lock_directory(work)
    await work.db.execute(delete(leave).where(leave.c.leave_id == leave_id))
    await publish_posts(work)


async def cancel_leave(work: UnitOfWork, *, leave_id: str, own_only: bool) -> None:
    row = (await work.db.execute(select(leave).where(leave.c.leave_id == leave_id))).first()
    if row is None or (own_only and row.person_id != work.actor.person_id):
        raise NotFound(what_zh="休假", what_en="leave", field="leave_id")
    await _require_staff(work, row.person_id, field="leave_id")
    await _change(work, delete(leave).where(leave.c.leave_id == leave_id))
    g = work.tables.access_grant.c
    await withdraw_grants(
        work, g.acting_for == row.person_id, g.valid_from >= row.starts_at, g.valid_to <= row.ends_at
    )  # fmt: skip
    await work.audit(action="leave-cancelled", object_type="leave", object_id=leave_id, before=dict(row._mapping))


async def name_deputies(work: UnitOfWork, *, post_id: str, person_ids: Sequence[str]) -> None:
    """The B角 of the post, in the order in which they are asked."""
    await require_post(work, post_id)
    for person_id in person_ids:
        await _require_known(work, person_id, field="person_ids")
    await work.db.execute(delete(post_deputy).where(post_deputy.c.post_id == post_id))
    rows = [{"post_id": post_id, "person_id": p, "rank": n} for n, p in enumerate(dict.fromkeys(person_ids))]
    if rows:
        await work.db.execute(insert(post_deputy), rows)
    await posts_changed(work)
    await work.audit(action="deputies-named", object_type="post", object_id=post_id, after=rows)


async def hand_over(
    work: UnitOfWork, *, post_id: str, from_person_id: str, to_person_id: str, effective_at: datetime | None
) -> dict[str, Any]:
    """Scope and pending work pass on; deadlines are facts of the work itself and stay."""
    await require_post(work, post_id)
    await _require_known(work, to_person_id, field="to_person_id")
    held = select(holding.c.post_id).where(holding.c.post_id == post_id, holding.c.person_id == from_person_id)
    earlier = select(handover.c.post_id).where(handover.c.post_id == post_id, handover.c.to_person_id == from_person_id)
    if (await work.db.execute(held.union(earlier))).first() is None:
        raise _invalid("from_person_id", "该人员不在此岗位上。", "This person does not hold the post.")
    if from_person_id == to_person_id:
        raise _invalid("to_person_id", "交接双方不能为同一人。", "A post is handed over to somebody else.")
    row: dict[str, Any] = {
        "handover_id": work.new_id("handover"), "post_id": post_id, "from_person_id": from_person_id,
        "to_person_id": to_person_id, "effective_at": effective_at or work.now,
        "entered_by": work.actor.person_id, "entered_at": work.now,
    }  # fmt: skip
    await _change(work, insert(handover).values(**row))
    if row["effective_at"] <= work.now:
        g = work.tables.access_grant.c
        await withdraw_grants(work, g.origin == f"post:{post_id}", g.person_id == from_person_id)
    await work.audit(action="post-handed-over", object_type="post", object_id=post_id, after=row)
    return row


async def put_on_duty(
    work: UnitOfWork, *, unit_id: str, person_id: str, role: str, starts_at: datetime, ends_at: datetime
) -> dict[str, Any]:
    if starts_at >= ends_at:
        raise _invalid("ends_at", "值班结束时间须晚于开始时间。", "The duty must end after it starts.")
    known = select(unit.c.unit_id).where(unit.c.unit_id == unit_id, _in_scope(work, unit.c.unit_id))
    if (await work.db.execute(known)).first() is None:
        raise NotFound(what_zh="机构", what_en="unit", field="unit_id")
    await _require_known(work, person_id, field="person_id")
    row = {
        "duty_id": work.new_id("duty"), "unit_id": unit_id, "person_id": person_id, "role": role,
        "starts_at": starts_at, "ends_at": ends_at, "entered_by": work.actor.person_id,
    }  # fmt: skip
    await work.db.execute(insert(duty).values(**row))
    await work.audit(action="duty-entered", object_type="duty", object_id=str(row["duty_id"]), after=row)
    return row


async def take_off_duty(work: UnitOfWork, *, duty_id: UUID) -> None:
    gone = delete(duty).where(duty.c.duty_id == duty_id, _in_scope(work, duty.c.unit_id)).returning(duty.c.person_id)
    if (await work.db.execute(gone)).first() is None:
        raise NotFound(what_zh="值班", what_en="duty", field="duty_id")
    await work.audit(action="duty-removed", object_type="duty", object_id=str(duty_id))


async def require_post(work: UnitOfWork, post_id: str) -> None:
    """Raises `NotFound` for unknown posts and for those outside the caller's units alike."""
    query = select(post.c.post_id).where(post.c.post_id == post_id, _in_scope(work, post.c.unit_id))
    if (await work.db.execute(query)).first() is None:
        raise NotFound(what_zh="岗位", what_en="post", field="post_id")


def _in_scope(work: UnitOfWork, unit_id: Any) -> Any:
    return true() if work.scope.everything else unit_id.in_(sorted(work.scope.areas))


async def _require_staff(work: UnitOfWork, person_id: str, *, field: str) -> None:
    """Oneself, or somebody who holds a post in the caller's units."""
    if person_id == work.actor.person_id:
        return
    query = select(holding.c.person_id).join_from(holding, post, post.c.post_id == holding.c.post_id)
    query = query.where(holding.c.person_id == person_id, _in_scope(work, post.c.unit_id))
    successor = select(handover.c.to_person_id).join_from(handover, post, post.c.post_id == handover.c.post_id)
    successor = successor.where(handover.c.to_person_id == person_id, _in_scope(work, post.c.unit_id))
    if (await work.db.execute(query.union(successor))).first() is None:
        raise NotFound(what_zh="人员", what_en="person", field=field)


async def _require_known(work: UnitOfWork, person_id: str, *, field: str) -> None:
    query = select(
        or_(
            exists().where(person.c.person_id == person_id), exists().where(holding.c.person_id == person_id)
        )
    )  # fmt: skip
    if not (await work.db.execute(query)).scalar_one():
        raise NotFound(what_zh="人员", what_en="person", field=field)


async def _change(work: UnitOfWork, statement: Any) -> None:
    await work.db.execute(statement)
    await posts_changed(work)


def _invalid(field: str, zh: str, en: str) -> InvalidInput:
    return InvalidInput(zh=zh, en=en, field=field)
