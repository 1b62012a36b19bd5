"""Tickets of the service desk: opened, closed, said. A complaint is internal to the company."""

from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

from sqlalchemy import insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from services.contracts.portrait import ScoreDisputed
from services.kernel.auth.grants import visible
from services.kernel.errors import Conflict, NotFound
from services.kernel.wire import WaitingFor
from services.kernel.work import UnitOfWork
from services.notify import queries, schemas
from services.notify.events_out import ticket_closed, ticket_opened
from services.notify.tables import customer, ticket


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


async def open_for_conversation(
    work: UnitOfWork, *, conversation_id: UUID, customer_id: str, kind: str, channel: str
) -> UUID:
    """The words name the thread only: what was said stays sealed there."""
    row: dict[str, Any] = {
        "ticket_id": work.new_id(f"ticket|{conversation_id}"), "customer_id": customer_id, "kind": kind,
        "channel": channel, "words": f"会话 {conversation_id}", "opened_by": work.actor.person_id,
        "opened_at": work.now,
    }  # fmt: skip
    await work.db.execute(insert(ticket).values(**row))
    await _audit(work, "ticket-opened", row)
    ticket_opened(work, ticket=row)
    return UUID(str(row["ticket_id"]))


async def open_for_dispute(work: UnitOfWork, *, event: ScoreDisputed) -> UUID | None:
    """One ticket per dispute, with the evidence in words; None when it was told before.

    Raises `WaitingFor` while the customer is not known.
    """
    known = select(customer.c.customer_id).where(customer.c.customer_id == event.customer_id)
    if (await work.db.execute(known)).first() is None:
        raise WaitingFor("customer", event.customer_id)
    row: dict[str, Any] = {
        "ticket_id": uuid5(_DISPUTES, event.dispute_id), "customer_id": event.customer_id, "kind": "opinion",
        "channel": "app", "words": evidence(event), "opened_by": event.disputed_by, "opened_at": event.disputed_at,
    }  # fmt: skip
    opened = await work.db.execute(upsert(ticket).values(**row).on_conflict_do_nothing().returning(ticket.c.ticket_id))
    if opened.first() is None:  # the same dispute, told again under another id
        return None
    await _audit(work, "ticket-opened", row)
    ticket_opened(work, ticket=row)
    return UUID(str(row["ticket_id"]))


_DISPUTES = uuid5(NAMESPACE_URL, "keyline/notify/disputes")
_GROUNDS = {
    "wrong-data": "电量数据有误",
    "wrong-capacity": "容量或需量有误",
    "wrong-shift": "班制有误",
    "wrong-peers": "同类对比不当",
    "other": "其他",
}


def evidence(event: ScoreDisputed) -> str:
    result = f"{event.score:.2f} 分（{event.band}）" if event.score is not None else event.not_scored_because
    doubted = f"；所指指标：{'、'.join(event.indicators)}" if event.indicators else ""
    points = "；".join(
        f"{s.indicator} {s.value:.4g} → {s.points:.2f}" if s.value is not None and s.points is not None
        else f"{s.indicator}：{s.reason}"
        for s in event.sub_scores
    )  # fmt: skip
    return (
        f"对 {event.month} 能效评分的异议：{_GROUNDS[event.ground]}{doubted}。\n评分：{result}\n分项：{points}\n"
        f"方案 {event.scheme_version}，评分任务 {event.run_id}，异议 {event.dispute_id}"
    )


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
