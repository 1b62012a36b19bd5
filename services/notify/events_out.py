"""What notify says of its messages and tickets. One event per customer whom the message concerns."""

from collections.abc import Iterable, Mapping
from typing import Any

from services.contracts.notify import (
    MessageAccepted,
    MessageAcknowledged,
    MessageDelivered,
    MessageFailed,
    MessageOpened,
    TicketClosed,
    TicketOpened,
)
from services.kernel.work import Cause, UnitOfWork
from services.notify.policy.planning import Place


def message_accepted(work: UnitOfWork, *, row: Mapping[str, Any], places: Iterable[Place]) -> None:
    for said in _per_customer(work, row, places):
        work.emit(MessageAccepted.model_validate(said))


def message_delivered(
    work: UnitOfWork, *, row: Mapping[str, Any], places: Iterable[Place], cause: Cause | None = None
) -> None:
    for said in _per_customer(work, row, places):
        work.emit(MessageDelivered.model_validate(said), cause=cause)


def message_opened(work: UnitOfWork, *, row: Mapping[str, Any], places: Iterable[Place]) -> None:
    for said in _per_customer(work, row, places):
        work.emit(MessageOpened.model_validate(said))


def message_acknowledged(work: UnitOfWork, *, row: Mapping[str, Any], places: Iterable[Place]) -> None:
    for said in _per_customer(work, row, places):
        work.emit(MessageAcknowledged.model_validate(said))


def message_failed(work: UnitOfWork, *, row: Mapping[str, Any], places: Iterable[Place], reason: str) -> None:
    for said in _per_customer(work, row, places):
        work.emit(MessageFailed.model_validate({**said, "reason": reason[:200]}))


def ticket_opened(work: UnitOfWork, *, ticket: Mapping[str, Any]) -> None:
    work.emit(TicketOpened.model_validate({**_ticket(ticket), "occurred_at": ticket["opened_at"]}))


def ticket_closed(work: UnitOfWork, *, ticket: Mapping[str, Any]) -> None:
    work.emit(TicketClosed.model_validate({**_ticket(ticket), "occurred_at": work.now}))


def _ticket(ticket: Mapping[str, Any]) -> dict[str, Any]:
    said = {name: ticket[name] for name in ("customer_id", "kind", "channel")}
    return {**said, "ticket_id": str(ticket["ticket_id"])}


def _per_customer(work: UnitOfWork, row: Mapping[str, Any], places: Iterable[Place]) -> list[dict[str, Any]]:
    accounts: dict[str, list[str]] = {}
    for place in sorted(places):
        accounts.setdefault(place.customer_id, []).append(place.account_id)
    common = {
        "cause_type": row["cause_type"], "cause_id": row["cause_id"], "subject_id": row["subject_id"],
        "person_id": row["person_id"], "delivery_id": str(row["delivery_id"]), "occurred_at": work.now,
        # To others a conversation's message is WeChat; which of its messages is our matter.
        "channel": "wechat" if row["channel"] == "chat" else row["channel"],
    }  # fmt: skip
    told = accounts or {row["customer_id"]: []}
    return [{**common, "customer_id": c, "account_ids": tuple(a[:500])} for c, a in sorted(told.items())]
