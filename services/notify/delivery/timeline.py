"""All that happened to one message and to its siblings on other channels, in order."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select

from services.kernel.auth.grants import visible
from services.kernel.errors import NotFound
from services.kernel.work import UnitOfWork
from services.notify.delivery.rows import Row, rows_of
from services.notify.tables import attempt, delivery

_MOMENTS = (
    ("created_at", "planned"), ("accepted_at", "accepted"), ("delivered_at", "delivered"), ("opened_at", "opened"),
    ("acknowledged_at", "acknowledged"),
)  # fmt: skip


async def timeline(work: UnitOfWork, *, delivery_id: UUID) -> list[dict[str, Any]]:
    """Raises `NotFound`, also outside the caller's scope."""
    d = delivery.c
    mine = select(delivery).where(d.delivery_id == delivery_id, visible(d.customer_id, work=work))
    found = await rows_of(work, mine)
    if not found:
        raise NotFound(what_zh="消息", what_en="message", field="delivery_id")
    row = found[0]
    siblings = select(delivery).where(d.happening == row["happening"], d.person_id == row["person_id"])
    lines = [line for sibling in await rows_of(work, siblings) for line in await _lines(work, sibling)]
    return sorted(lines, key=lambda line: (line["at"], line["order"]))


async def _lines(work: UnitOfWork, row: Row) -> list[dict[str, Any]]:
    lines = [_line(row, row[column], what, n) for n, (column, what) in enumerate(_MOMENTS) if row[column] is not None]
    a = attempt.c
    for tried in await work.db.execute(select(attempt).where(a.delivery_id == row["delivery_id"]).order_by(a.number)):
        words = f"attempt {tried.number}: {tried.outcome}"
        lines.append(_line(row, tried.at, words, 0, reason=tried.reason, provider=tried.provider))
    if row["state"] in ("failed", "suppressed") and row["ended_at"] is not None:
        lines.append(_line(row, row["ended_at"], row["state"], 9, reason=row["reason"]))
    if row["state"] == "held":
        lines.append(_line(row, row["next_attempt_at"], "held until", 9, reason=row["digest"] or "quiet-hours"))
    return lines


def _line(
    row: Row, at: datetime, what: str, order: int, *, reason: str | None = None, provider: str | None = None
) -> dict[str, Any]:
    return {
        "at": at, "order": order, "delivery_id": row["delivery_id"], "channel": row["channel"], "what": what,
        "reason": reason, "provider": provider,
        "provider_message_id": row["provider_message_id"] if what == "accepted" else None,
    }  # fmt: skip
