"""How a message leaves a channel: delivered, failed and passed to the next channel, or suppressed by a named rule."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from services.kernel.work import UnitOfWork
from services.notify import metrics
from services.notify.delivery.rows import Row, add_places, change, delivery_id_of, mark_unusable, places_of, reach_of
from services.notify.delivery.stream import announce
from services.notify.events_out import message_delivered, message_failed
from services.notify.policy.planning import next_channel
from services.notify.rules.retries import URGENT
from services.notify.tables import delivery

INBOX = "inbox"
_CLEARED = {"confirm_by": None, "fallback_at": None}


async def deliver(work: UnitOfWork, row: Row) -> None:
    """A receipt: it reached the person's device. Where an acknowledgement is wanted, its deadline goes on."""
    changed: dict[str, Any] = {
        "state": "delivered", "reason": None, "delivered_at": work.now, "ended_at": work.now, "confirm_by": None,
    }  # fmt: skip
    if not row["ack"]:
        changed["fallback_at"] = None
    await change(work, row["delivery_id"], changed)
    for message in (row, *await _children(work, row)):
        message_delivered(work, row=message, places=await places_of(work, message["delivery_id"]))
        metrics.DELIVERIES.labels(message["event_class"], message["channel"], "delivered").inc()
    seconds = (work.now - row["event_at"]).total_seconds()
    metrics.EVENT_TO_RECEIPT.labels(row["event_class"], row["channel"]).observe(max(seconds, 0))
    await _children_follow(work, row, changed)


async def fail(work: UnitOfWork, row: Row, *, reason: str, unusable: bool = False, push_again: bool = True) -> None:
    """Nothing ends in silence: the failure is said and the next channel starts now.

    Without `push_again` only the inbox follows: the message may be out, and a double is worse than none.
    """
    if unusable:
        await mark_unusable(work, row, because=reason)
    changed = {"state": "failed", "reason": reason[:200], "ended_at": work.now, **_CLEARED}
    await change(work, row["delivery_id"], changed)
    for message in (row, *await _children(work, row)):
        message_failed(work, row=message, places=await places_of(work, message["delivery_id"]), reason=reason)
        metrics.DELIVERIES.labels(message["event_class"], message["channel"], "failed").inc()
        await start_next(work, message, ladder=message["ladder"] if push_again else message["ladder"][-1:])
    await _children_follow(work, row, changed)


async def suppress(work: UnitOfWork, row: Row, *, rule: str) -> None:
    """Kept with the rule's name; no other channel follows."""
    await change(
        work, row["delivery_id"], {"state": "suppressed", "reason": rule[:200], "ended_at": work.now, **_CLEARED}
    )
    metrics.DELIVERIES.labels(row["event_class"], row["channel"], "suppressed").inc()


async def start_next(work: UnitOfWork, row: Row, *, ladder: Sequence[str]) -> None:
    """The same message on the next channel that this person has; once, however often it is asked for."""
    if row["channel"] == INBOX or not ladder:
        return
    reach = (await reach_of(work, [row["person_id"]])).get(row["person_id"], frozenset())
    channel = next_channel(ladder, after=None, reach=reach)
    new = following(work, row, channel=channel, ladder=ladder)
    stored = upsert(delivery).values(**new).on_conflict_do_nothing().returning(delivery.c.delivery_id)
    if (await work.db.execute(stored)).first() is None:
        return
    places = await places_of(work, row["delivery_id"])
    await add_places(work, new["delivery_id"], places)
    metrics.FALLBACKS.labels(row["event_class"], channel).inc()
    if channel == INBOX:
        await announce(work)
        message_delivered(work, row=new, places=places)
        metrics.DELIVERIES.labels(row["event_class"], INBOX, "delivered").inc()


_COPIED = (
    "happening", "person_id", "event_class", "subject_id", "customer_id", "cause_type", "cause_id", "facts",
    "language", "priority", "mandatory", "fallback_seconds", "ack", "told_of", "give_up_at", "event_at",
)  # fmt: skip


def following(work: UnitOfWork, row: Row, *, channel: str, ladder: Sequence[str]) -> dict[str, Any]:
    """The row of the next channel; in the inbox it is delivered at once."""
    rest = list(ladder[ladder.index(channel) + 1 :]) if channel in ladder else []
    at_once = channel == INBOX
    return {
        **{name: row[name] for name in _COPIED},
        "delivery_id": delivery_id_of(happening=row["happening"], person_id=row["person_id"], channel=channel),
        "channel": channel, "ladder": rest, "fallback_of": row["delivery_id"],
        "state": "delivered" if at_once else "pending",
        "next_attempt_at": work.now, "created_at": work.now, "attempts": 0,
        "accepted_at": work.now if at_once else None, "delivered_at": work.now if at_once else None,
        "ended_at": work.now if at_once else None,
    }  # fmt: skip


def may_push_again(row: Row) -> bool:
    """After an answer that never came: an urgent message rather twice than not at all, a bill rather not."""
    return bool(row["priority"] <= URGENT)


async def _children(work: UnitOfWork, row: Row) -> list[Row]:
    """The messages that travel in this one, if it is a digest."""
    if row["event_class"] != "digest":
        return []
    query = select(delivery).where(delivery.c.digest_id == row["delivery_id"], delivery.c.state == "merged")
    return [dict(r) for r in (await work.db.execute(query.with_for_update())).mappings()]


async def _children_follow(work: UnitOfWork, row: Row, changed: dict[str, Any]) -> None:
    if row["event_class"] == "digest":
        d = delivery.c
        follow = update(delivery).where(d.digest_id == row["delivery_id"], d.state == "merged")
        await work.db.execute(follow.values(**changed))


async def acknowledged_elsewhere(work: UnitOfWork, row: Row, *, but: UUID) -> None:
    """One acknowledgement ends the matter: what has not gone stays, what waits for a receipt waits no more."""
    d = delivery.c
    others = (d.happening == row["happening"], d.person_id == row["person_id"], d.delivery_id != but)
    unsent = update(delivery).where(*others, d.state.in_(("held", "pending")))
    stopped = await work.db.execute(
        unsent.values(state="suppressed", reason="acknowledged-already", ended_at=work.now, **_CLEARED).returning(
            d.delivery_id
        )
    )
    metrics.DUPLICATES_SUPPRESSED.labels("acknowledged").inc(len(stopped.all()))
    await work.db.execute(update(delivery).where(*others, d.fallback_at.is_not(None)).values(fallback_at=None))


async def withdraw_pushes(work: UnitOfWork, *, event_class: str, subject_id: str, why: str) -> None:
    """The matter is settled: of these messages nothing more is sent, on this channel or the next."""
    d = delivery.c
    mine = (d.event_class == event_class, d.subject_id == subject_id)
    unsent = update(delivery).where(*mine, d.state.in_(("held", "pending")))
    stopped = await work.db.execute(
        unsent.values(state="suppressed", reason=why, ended_at=work.now, **_CLEARED).returning(d.delivery_id)
    )
    metrics.DUPLICATES_SUPPRESSED.labels(why).inc(len(stopped.all()))
    # What is out may still prove itself; without a ladder nothing follows when it does not.
    waiting = update(delivery).where(*mine, d.state.in_(("sending", "accepted", "unknown")))
    await work.db.execute(waiting.values(fallback_at=None, ladder=[]))
