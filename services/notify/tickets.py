"""Tickets of the service desk: opened, closed, said. A complaint is internal to the company."""

from typing import Any
from uuid import UUID

from sqlalchemy import insert, select, update

from services.kernel.auth.grants import visible
from services.kernel.errors import Conflict, NotFound
from services.kernel.work import UnitOfWork
from services.notify import queries, schemas
from services.notify.events_out import ticket_closed, ticket_opened
from services.notify.tables import ticket


async def open_ticket(work: UnitOfWork, *, body: schemas.NewTicket) -> schemas.Ticket:
    await queries.require_customer(work, customer_id=body.customer_id)
    row: dict[str, Any] = {
        **body.model_dump(), "ticket_id": work.new_id("ticket"), "opened_by": work.actor.person_id,
        "opened_at": work.now,
    }  # fmt: skip
    await work.db.execute(insert(ticket).values(**row))
    await _audit(work, "ticket-opened", row)
    ticket_opened(work, ticket=row)
    return _shown({**row, "closed_at": None})


async def close_ticket(work: UnitOfWork, *, ticket_id: UUID) -> schemas.Ticket:
    """Raises `NotFound` outside the scope, `Conflict` when it is closed already."""
    query = select(ticket).where(ticket.c.ticket_id == ticket_id, visible(ticket.c.customer_id, work=work))
    row = (await work.db.execute(query.with_for_update())).mappings().first()
    if row is None:
        raise NotFound(what_zh="工单", what_en="ticket", field="ticket_id")
    if row["closed_at"] is not None:
        raise Conflict(zh="该工单已办结，无需再次办结。", en="This ticket is closed already.", field="ticket_id")
    await work.db.execute(update(ticket).where(ticket.c.ticket_id == ticket_id).values(closed_at=work.now))
    await _audit(work, "ticket-closed", dict(row))
    ticket_closed(work, ticket=dict(row))
    return _shown({**row, "closed_at": work.now})


async def _audit(work: UnitOfWork, action: str, row: dict[str, Any]) -> None:
    await work.audit(
        action=action, object_type="ticket", object_id=str(row["ticket_id"]), owner_id=row["customer_id"], after=row
    )


def _shown(row: dict[str, Any]) -> schemas.Ticket:
    return schemas.Ticket(**{name: row[name] for name in schemas.Ticket.model_fields})
