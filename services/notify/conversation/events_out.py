"""What notify says of conversations: ids and times, never a word of them."""

from typing import Any

from services.contracts.notify import (
    ConversationAnswered,
    ConversationClosed,
    ConversationEscalated,
    ConversationOpened,
)
from services.kernel.work import UnitOfWork


def opened(work: UnitOfWork, *, row: Any) -> None:
    work.emit(ConversationOpened(**_ids(row), occurred_at=work.now))


def answered(work: UnitOfWork, *, row: Any, within_promise: bool) -> None:
    work.emit(ConversationAnswered(**_ids(row), occurred_at=work.now, within_promise=within_promise))


def escalated(work: UnitOfWork, *, row: Any, level: int) -> None:
    work.emit(ConversationEscalated(**_ids(row), occurred_at=work.now, level=level))


def closed(work: UnitOfWork, *, row: Any) -> None:
    work.emit(ConversationClosed(**_ids(row), occurred_at=work.now))


def _ids(row: Any) -> dict[str, str]:
    return {"customer_id": row.customer_id, "conversation_id": str(row.conversation_id)}
