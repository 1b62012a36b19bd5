"""What becomes of a message: accepted, repeated later, failed and moved to the inbox, delivered."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import delete, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from services.kernel.work import UnitOfWork
from services.notify import metrics
from services.notify.adapters.wechat.events import JobOutcome, job_outcome
from services.notify.directory.persons import mark_unusable
from services.notify.events_out import message_accepted, message_delivered, message_failed
from services.notify.policy.planning import Place
from services.notify.tables import attempt, delivery, delivery_account, early_receipt

_LONGEST_WAIT_S = 300


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Why an attempt failed; `retry_in` None means never again on this channel."""

    reason: str
    reason_class: str
    retry_in: timedelta | None = None
    person_unreachable: bool = False


def wait_before(*, attempts: int) -> timedelta:
    """1, 2, 4 ... 300 seconds."""
    return timedelta(seconds=min(2 ** max(attempts - 1, 0), _LONGEST_WAIT_S))


async def accepted(work: UnitOfWork, *, delivery_id: UUID, number: int, message_id: str | None) -> None:
    row = await _own(work, delivery_id, number)
    if row is None:
        return
    await _note(work, delivery_id, number, "accepted", None)
    changed = {"state": "accepted", "provider_message_id": message_id, "accepted_at": work.now, "lease_until": None}
    await _set(work, delivery_id, changed)
    message_accepted(work, row=row, places=await places_of(work, delivery_id))
    _observe(row, work)
    early = delete(early_receipt).where(early_receipt.c.provider_message_id == message_id)
    if (status := (await work.db.execute(early.returning(early_receipt.c.status))).scalar()) is not None:
        await _finish(work, {**row, **changed}, status)


async def failed(work: UnitOfWork, *, delivery_id: UUID, number: int, failure: Failure) -> None:
    """Back into the queue while there is hope and time; else failed with its reason, and the inbox takes over."""
    row = await _own(work, delivery_id, number)
    if row is None:
        return
    await _note(work, delivery_id, number, "failed", failure.reason)
    again = work.now + failure.retry_in if failure.retry_in is not None else None
    if again is not None and again < row["give_up_at"]:
        await _set(work, delivery_id, {"state": "pending", "next_attempt_at": again, "lease_until": None})
        metrics.RETRIES.labels(row["event_class"], failure.reason_class).inc()
        return
    if failure.person_unreachable:
        await mark_unusable(work, person_id=row["person_id"], because=failure.reason)
    await _give_up(work, row, failure.reason)


async def receipt(work: UnitOfWork, *, message_id: str, status: str) -> None:
    """A receipt that overtakes the provider's answer is kept until that answer is stored."""
    query = select(delivery).where(delivery.c.provider_message_id == message_id).with_for_update()
    row = (await work.db.execute(query)).mappings().first()
    if row is None:
        values = {"provider_message_id": message_id, "status": status[:100], "received_at": work.now}
        await work.db.execute(upsert(early_receipt).values(**values).on_conflict_do_nothing())
    elif row["state"] == "accepted":
        await _finish(work, dict(row), status)


async def places_of(work: UnitOfWork, delivery_id: UUID) -> tuple[Place, ...]:
    a = delivery_account.c
    query = select(a.customer_id, a.account_id).where(a.delivery_id == delivery_id).order_by(a.account_id)
    return tuple(Place(customer_id=r.customer_id, account_id=r.account_id) for r in await work.db.execute(query))


async def _finish(work: UnitOfWork, row: Mapping[str, Any], status: str) -> None:
    outcome = job_outcome(status=status)
    metrics.RECEIPTS.labels(outcome.value).inc()
    if outcome is JobOutcome.SUCCESS:
        await _set(work, row["delivery_id"], {"state": "delivered", "ended_at": work.now})
        message_delivered(work, row=row, places=await places_of(work, row["delivery_id"]))
        metrics.DELIVERIES.labels(row["event_class"], row["channel"], "delivered").inc()
        return
    if outcome is JobOutcome.USER_BLOCK:
        await mark_unusable(work, person_id=row["person_id"], because=status)
    await _give_up(work, row, status)


async def _give_up(work: UnitOfWork, row: Mapping[str, Any], reason: str) -> None:
    """Nothing ends in silence: the failure is said, and the person finds the message in the inbox."""
    await _set(
        work, row["delivery_id"],
        {"state": "failed", "reason": reason[:200], "ended_at": work.now, "lease_until": None},
    )  # fmt: skip
    places = await places_of(work, row["delivery_id"])
    message_failed(work, row=row, places=places, reason=reason)
    metrics.DELIVERIES.labels(row["event_class"], row["channel"], "failed").inc()
    inbox = {
        **row, "delivery_id": work.new_id(f"fallback|{row['delivery_id']}"), "channel": "inbox", "state": "delivered",
        "reason": None, "attempts": 0, "lease_until": None, "provider_message_id": None, "accepted_at": None,
        "created_at": work.now, "ended_at": work.now,
    }  # fmt: skip
    stored = await work.db.execute(
        upsert(delivery).values(**inbox).on_conflict_do_nothing().returning(delivery.c.delivery_id)
    )
    if stored.first() is None:
        return
    if places:
        rows = [{"delivery_id": inbox["delivery_id"], **vars(place)} for place in places]
        await work.db.execute(insert(delivery_account), rows)
    message_delivered(work, row=inbox, places=places)
    metrics.FALLBACKS.labels(row["event_class"], "inbox").inc()


async def _own(work: UnitOfWork, delivery_id: UUID, number: int) -> dict[str, Any] | None:
    """None when the lease ran out and another sender took the message over: its answer counts."""
    query = select(delivery).where(
        delivery.c.delivery_id == delivery_id, delivery.c.state == "sending", delivery.c.attempts == number
    )
    row = (await work.db.execute(query.with_for_update())).mappings().first()
    return None if row is None else dict(row)


async def _note(work: UnitOfWork, delivery_id: UUID, number: int, outcome: str, reason: str | None) -> None:
    values = {
        "delivery_id": delivery_id, "number": number, "outcome": outcome,
        "reason": reason[:200] if reason else None, "at": work.now,
    }  # fmt: skip
    await work.db.execute(upsert(attempt).values(**values).on_conflict_do_nothing())


async def _set(work: UnitOfWork, delivery_id: UUID, values: Mapping[str, Any]) -> None:
    await work.db.execute(update(delivery).where(delivery.c.delivery_id == delivery_id).values(**values))


def _observe(row: Mapping[str, Any], work: UnitOfWork) -> None:
    seconds = (work.now - row["event_at"]).total_seconds()
    metrics.EVENT_TO_ACCEPT.labels(row["event_class"], row["channel"]).observe(seconds)
    if row["event_class"] == "fault-outage":
        metrics.FAULT_TO_ACCEPT.observe(seconds)
    metrics.DELIVERIES.labels(row["event_class"], row["channel"], "accepted").inc()
