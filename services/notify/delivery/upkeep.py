"""What time alone moves: missing receipts, held messages and their digests."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from sqlalchemy import select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert

from services.kernel.work import UnitOfWork
from services.notify import metrics
from services.notify.delivery.rows import Row, change, delivery_id_of, places_of, rows_of
from services.notify.delivery.steps import INBOX, fail, may_push_again, start_next
from services.notify.delivery.stream import announce
from services.notify.tables import delivery
from services.notify.templates.texts import title_and_body

AT_ONCE = 500
NO_RECEIPT = "no-receipt-in-time"
UNCONFIRMED = "unconfirmed"
TOO_LATE = "too-late"


async def fall_back(work: UnitOfWork) -> int:
    """Accepted, but neither receipt nor acknowledgement in the class's time: the next channel starts as well."""
    d = delivery.c
    due = select(delivery).where(d.fallback_at <= work.now).order_by(d.fallback_at).limit(AT_ONCE)
    rows = await rows_of(work, due.with_for_update(skip_locked=True))
    for row in rows:
        await change(work, row["delivery_id"], {"fallback_at": None})
        if row["state"] in ("accepted", "unknown", "delivered"):
            late = (work.now - row["fallback_at"]).total_seconds()
            metrics.STEP_LATENESS.labels(str(row["priority"])).observe(late)
            await start_next(work, row, ladder=row["ladder"])
    return len(rows)


async def stop_waiting(work: UnitOfWork) -> int:
    """No receipt by the end: the channel counts as failed, because nobody can say that it did not."""
    d = delivery.c
    late = select(delivery).where(d.confirm_by <= work.now).order_by(d.confirm_by).limit(AT_ONCE)
    rows = await rows_of(work, late.with_for_update(skip_locked=True))
    for row in rows:
        if row["state"] == "unknown":
            await fail(work, row, reason="answer-lost", push_again=may_push_again(row))
        elif row["state"] == "accepted":
            await fail(work, row, reason=UNCONFIRMED, push_again=may_push_again(row))
        else:
            await change(work, row["delivery_id"], {"confirm_by": None})
    return len(rows)


async def give_up(work: UnitOfWork) -> int:
    """Too late for it to be sent at all, also where a circuit or a limit keeps the sender from looking at it."""
    d = delivery.c
    late = select(delivery).where(d.state.in_(("held", "pending")), d.give_up_at <= work.now).order_by(d.give_up_at)
    rows = await rows_of(work, late.limit(AT_ONCE).with_for_update(skip_locked=True))
    for row in rows:
        await fail(work, row, reason=TOO_LATE)
    return len(rows)


async def release_held(work: UnitOfWork) -> int:
    """The morning: one message goes as it is, several of a person and channel go as one digest."""
    d = delivery.c
    due = select(delivery).where(d.state == "held", d.next_attempt_at <= work.now)
    due = due.order_by(d.person_id, d.channel, d.created_at, d.delivery_id).limit(AT_ONCE)
    rows = await rows_of(work, due.with_for_update(skip_locked=True))
    groups: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        groups[row["person_id"], row["channel"]].append(row)
    for own in groups.values():
        if len(own) == 1:
            # Its place in the person's stream is now, not when it was planned.
            fresh = {"created_xid": text("DEFAULT"), "seq": text("DEFAULT")}
            await change(work, own[0]["delivery_id"], {"state": "pending", "next_attempt_at": work.now, **fresh})
        else:
            await _merge(work, own)
    if rows:
        await announce(work)
    return len(rows)


async def _title(work: UnitOfWork, row: Row) -> str:
    accounts = [p.account_id for p in await places_of(work, row["delivery_id"])]
    title, _ = title_and_body(row["event_class"], language=row["language"], facts=row["facts"], account_ids=accounts)
    return title


async def _merge(work: UnitOfWork, rows: list[Row]) -> None:
    first = rows[0]
    name = f"digest|{work.now.date().isoformat()}|{first['delivery_id']}"
    digest: dict[str, Any] = {
        **{n: first[n] for n in ("person_id", "channel", "customer_id", "cause_type", "cause_id", "language")},
        "delivery_id": delivery_id_of(happening=name, person_id=first["person_id"], channel=first["channel"]),
        "happening": name, "event_class": "digest", "subject_id": f"digest-{work.now.date().isoformat()}",
        "facts": {
            "customer": first["facts"].get("customer", ""), "count": len(rows), "at": work.now.isoformat(),
            "lines": " ".join([f"{n}. {await _title(work, r)}" for n, r in enumerate(rows, 1)]),
        },
        "priority": min(r["priority"] for r in rows), "state": "pending", "ladder": [INBOX],
        "next_attempt_at": work.now, "give_up_at": max(r["give_up_at"] for r in rows),
        "event_at": min(r["event_at"] for r in rows), "created_at": work.now,
    }  # fmt: skip
    await work.db.execute(upsert(delivery).values(**digest).on_conflict_do_nothing())
    mine = update(delivery).where(delivery.c.delivery_id.in_([r["delivery_id"] for r in rows]))
    await work.db.execute(mine.values(state="merged", digest_id=digest["delivery_id"]))


STEPS: Mapping[str, Callable[[UnitOfWork], Awaitable[int]]] = {
    "fall-back": fall_back,
    "stop-waiting": stop_waiting,
    "give-up": give_up,
    "release-held": release_held,
}
