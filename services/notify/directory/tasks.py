"""Work that the house finds for its staff. It belongs to a customer and a role: whoever holds that role has it."""

from collections.abc import Mapping
from datetime import datetime, time
from typing import Any

from sqlalchemy import or_, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from services.kernel.auth.grants import visible
from services.kernel.clock import BUSINESS_ZONE
from services.kernel.work import UnitOfWork
from services.notify.directory.working_time import add_working_days
from services.notify.tables import conversation, task, ticket


async def open_task(
    work: UnitOfWork, *, customer_id: str, kind: str, role: str, details: Mapping[str, Any], working_days: int
) -> datetime | None:
    """When it is due; None where such a task is open already, whose deadline stays."""
    day = add_working_days(work.now.astimezone(BUSINESS_ZONE).date(), working_days)
    due_at = datetime.combine(day, time(17, 30), tzinfo=BUSINESS_ZONE)
    row = {
        "task_id": work.new_id(f"task|{kind}|{customer_id}"), "customer_id": customer_id, "kind": kind, "role": role,
        "details": dict(details), "opened_at": work.now, "due_at": due_at,
    }  # fmt: skip
    stored = upsert(task).values(**row).on_conflict_do_nothing().returning(task.c.task_id)
    return due_at if (await work.db.execute(stored)).first() is not None else None


async def close_tasks(work: UnitOfWork, *, kind: str, customers_still_open: set[str]) -> None:
    """What was found is found no more: its tasks are done."""
    t = task.c
    gone = update(task).where(t.kind == kind, t.done_at.is_(None), t.customer_id.not_in(sorted(customers_still_open)))
    await work.db.execute(gone.values(done_at=work.now, done_by=work.actor.person_id))


async def pending(work: UnitOfWork, *, limit: int) -> list[dict[str, Any]]:
    """Open tickets, tasks and questions in the caller's scope, the earliest deadline first.

    `acting_for` says in whose place.
    """
    tickets = select(ticket).where(ticket.c.closed_at.is_(None), visible(ticket.c.customer_id, work=work))
    g = work.tables.access_grant.c
    roles = select(g.role).where(
        g.person_id == work.actor.person_id, g.valid_from <= work.now, or_(g.valid_to.is_(None), g.valid_to > work.now)
    )
    tasks = select(task).where(task.c.done_at.is_(None), task.c.role.in_(roles), visible(task.c.customer_id, work=work))
    rows = [
        *(
            {"id": str(r.ticket_id), "what": "ticket", "kind": r.kind, "customer_id": r.customer_id,
             "opened_at": r.opened_at, "due_at": None}
            for r in await work.db.execute(tickets.order_by(ticket.c.opened_at).limit(limit))
        ),
        *(
            {"id": str(r.task_id), "what": "task", "kind": r.kind, "customer_id": r.customer_id,
             "opened_at": r.opened_at, "due_at": r.due_at}
            for r in await work.db.execute(tasks.order_by(task.c.due_at).limit(limit))
        ),
    ]  # fmt: skip
    c = conversation.c
    waiting = select(conversation).where(c.waiting_since.is_not(None), visible(c.customer_id, work=work))
    rows += [
        {"id": str(r.conversation_id), "what": "question", "kind": r.topic, "customer_id": r.customer_id,
         "opened_at": r.waiting_since, "due_at": r.due_at}
        for r in await work.db.execute(waiting.order_by(c.due_at).limit(limit))
    ]  # fmt: skip
    ordered = sorted(rows, key=lambda r: (r["due_at"] or r["opened_at"], r["id"]))[:limit]
    return [{**r, "acting_for": await work.acting_for(r["customer_id"])} for r in ordered]
