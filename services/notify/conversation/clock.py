"""The clock of a question: begins with it, is kept by every hand-over, ends with the answer."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import update

from services.kernel.work import UnitOfWork
from services.notify import metrics
from services.notify.conversation.promise import times_for
from services.notify.conversation.responsible import asked_at, owner_of
from services.notify.directory.working_time import is_working_day
from services.notify.rules import reply_clock
from services.notify.rules.reply_clock import Level, ReplyTimes
from services.notify.tables import conversation

_STOPPED: dict[str, Any] = {
    "waiting_since": None, "due_at": None, "next_step_at": None, "level": 0, "asked_ids": [], "tell_due": False,
}  # fmt: skip


async def start(work: UnitOfWork, *, row: Any) -> dict[str, Any]:
    """A question waits from now; whoever answers for the customer is asked. What the row becomes."""
    times = await times_for(work, customer_id=row.customer_id)
    owner_id = row.owner_id if row.by_hand else await owner_of(work, customer_id=row.customer_id)
    level, people = await asked_at(
        work, customer_id=row.customer_id, owner_id=owner_id, level=Level.MANAGER, but=()
    )  # fmt: skip
    values: dict[str, Any] = {
        "waiting_since": work.now, "owner_id": owner_id, "level": level, "asked_ids": people,
        "tell_due": bool(people), "breached_at": None,
        "due_at": reply_clock.promised_at(work.now, times=times, works_on=is_working_day),
        "next_step_at": step_after(work.now, level, times=times),
    }  # fmt: skip
    await change(work, row.conversation_id, values)
    return values


def step_after(waiting_since: datetime, level: int, *, times: ReplyTimes) -> datetime | None:
    return reply_clock.next_step(waiting_since, level, times=times, works_on=is_working_day)


async def stop(work: UnitOfWork, *, row: Any) -> bool:
    """The question is answered; whether inside the promise."""
    within = bool(work.now <= row.due_at)
    values: dict[str, Any] = {**_STOPPED, "answered_at": work.now}
    if row.first_answered_at is None:
        values["first_answered_at"] = work.now
        times = await times_for(work, customer_id=row.customer_id)
        took = reply_clock.service_time(row.waiting_since, work.now, times=times, works_on=is_working_day)
        metrics.FIRST_RESPONSE.labels(row.topic).observe(took.total_seconds())
    await change(work, row.conversation_id, values)
    return within


async def change(work: UnitOfWork, conversation_id: UUID, values: dict[str, Any]) -> None:
    mine = update(conversation).where(conversation.c.conversation_id == conversation_id)
    await work.db.execute(mine.values(**values))
