"""What becomes of attempts: a batch of answers at a time, receipts, openings and acknowledgements one by one."""

import hashlib
import json
import zlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Integer, bindparam, select, text, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import insert as upsert

from services.kernel.work import UnitOfWork
from services.notify import metrics
from services.notify.adapters.port import Accepted, Channel, ChannelError
from services.notify.adapters.wechat.events import JobOutcome, job_outcome
from services.notify.delivery import chat, circuits
from services.notify.delivery.rows import Row, change, locked, note_attempt, places_by_delivery, rows_of
from services.notify.delivery.steps import acknowledged_elsewhere, deliver, fail, may_push_again
from services.notify.directory import confirmation
from services.notify.directory.vault import vault
from services.notify.events_out import message_accepted, message_acknowledged, message_opened
from services.notify.policy.planning import Place
from services.notify.rules.retries import (
    AwaitReceipt,
    FailureKind,
    Retry,
    Situation,
    Verdict,
    decide,
    next_midnight,
)
from services.notify.tables import contact, delivery, early_receipt

# No join: while few messages are under way the planner expects one, and compares every row with every answer.
_ACCEPT = """
WITH noted AS (
  INSERT INTO notify.attempt (delivery_id, number, provider, outcome, milliseconds, at)
  SELECT delivery_id, $3::int, $4::text, 'accepted', ms, $5::timestamptz
  FROM unnest($1::uuid[], $2::int[]) AS a(delivery_id, ms)
  ON CONFLICT DO NOTHING
)
UPDATE notify.delivery d SET
  state = CASE WHEN $7::bool THEN 'delivered' ELSE 'accepted' END,
  provider_message_id = (SELECT $6::text::jsonb) ->> d.delivery_id::text,
  accepted_at = $5::timestamptz, doubtful_since = NULL,
  delivered_at = CASE WHEN $7::bool THEN $5::timestamptz END, ended_at = CASE WHEN $7::bool THEN $5::timestamptz END,
  fallback_at = CASE WHEN $7::bool AND NOT d.ack THEN NULL
                     WHEN cardinality(d.ladder) > 0 THEN $5::timestamptz + d.fallback_seconds * interval '1 second' END,
  confirm_by = CASE WHEN NOT $7::bool THEN greatest(d.give_up_at, $5::timestamptz + interval '10 minutes') END
WHERE d.delivery_id = ANY($1::uuid[]) AND d.state = 'sending' AND d.attempts = $3::int
RETURNING d.delivery_id, d.provider_message_id, d.cause_type, d.cause_id, d.subject_id, d.person_id, d.channel,
  d.customer_id, d.event_class, d.event_at, d.state, d.ack"""
_EARLY = """
DELETE FROM notify.early_receipt WHERE provider_message_id = ANY($1::text[]) RETURNING provider_message_id, status"""
_TURNS = 64
_TAKE_TURNS = text(
    "SELECT pg_advisory_xact_lock(hashtext('notify-receipt'), t) FROM unnest(CAST(:turns AS int[])) AS x(t)"
).bindparams(bindparam("turns", type_=ARRAY(Integer)))


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came of one attempt. `places` as claimed: a message that is under way does not grow; None: look them up."""

    delivery_id: UUID
    number: int
    outcome: Accepted | ChannelError
    milliseconds: int = 0
    places: tuple[Place, ...] | None = None


async def record(
    work: UnitOfWork, *, provider: Channel, answers: Sequence[Answer], classes: Mapping[UUID, str]
) -> None:
    """One transaction for a batch; who lost the lease meanwhile changes nothing. `classes`: message -> template."""
    good = [(a, a.outcome) for a in answers if isinstance(a.outcome, Accepted)]
    trouble = circuits.Trouble(successes=len(good), worked={classes[a.delivery_id] for a, _ in good})
    if good:
        await _accept(work, provider.name, good)
    for answer in sorted(answers, key=lambda a: a.delivery_id):
        if isinstance(answer.outcome, ChannelError):
            template_id = classes[answer.delivery_id]
            _count(trouble, answer.outcome, template_id, now_to_midnight=next_midnight(work.now) - work.now)
            await _refused(work, provider.dedupe, answer, answer.outcome)
    if provider.shared:
        await circuits.note(work, provider=provider.name, trouble=trouble)


async def _accept(work: UnitOfWork, provider: str, good: Sequence[tuple[Answer, Accepted]]) -> None:
    await _take_turns(work, {o.reference for _, o in good if o.reference is not None})
    alike: dict[tuple[int, bool], list[tuple[Answer, Accepted]]] = defaultdict(list)
    for pair in sorted(good, key=lambda pair: pair[0].delivery_id):
        alike[pair[0].number, pair[1].delivered].append(pair)
    connection, rows = await work.raw(), []
    for (number, there), pairs in sorted(alike.items()):
        references = {str(a.delivery_id): o.reference for a, o in pairs}
        found = await connection.fetch(
            _ACCEPT, [a.delivery_id for a, _ in pairs], [a.milliseconds for a, _ in pairs], number, provider, work.now,
            json.dumps(references), there,
        )  # fmt: skip
        rows += [dict(r) for r in found]
    places = {a.delivery_id: a.places for a, _ in good if a.places is not None}
    unknown = [r["delivery_id"] for r in rows if r["delivery_id"] not in places]
    places |= await places_by_delivery(work, unknown)
    _observe(rows, work)
    for row in rows:
        message_accepted(work, row=row, places=places.get(row["delivery_id"], ()))
        if row["state"] == "delivered":
            await deliver(work, row)
    await _early_receipts(work, rows)


async def _early_receipts(work: UnitOfWork, rows: Sequence[Row]) -> None:
    by_reference = {r["provider_message_id"]: r for r in rows if r["provider_message_id"] is not None}
    if not by_reference:
        return
    for found in await (await work.raw()).fetch(_EARLY, sorted(by_reference)):
        row = await locked(work, by_reference[found["provider_message_id"]]["delivery_id"])
        if row is not None:
            await _finish(work, row, found["status"])


def _count(trouble: circuits.Trouble, error: ChannelError, template_id: str, *, now_to_midnight: timedelta) -> None:
    match error.kind:
        case FailureKind.TRANSIENT:
            trouble.transient += 1
        case FailureKind.MINUTE_QUOTA:
            trouble.pause = trouble.pause or timedelta(seconds=60)
        case FailureKind.DAY_QUOTA:
            trouble.pause = now_to_midnight
        case FailureKind.CONFIGURATION | FailureKind.CONTENT if error.account_wide:
            trouble.account = error.reason
        case FailureKind.CONFIGURATION:
            trouble.templates[template_id] = error.reason


async def _refused(work: UnitOfWork, dedupe: timedelta, answer: Answer, error: ChannelError) -> None:
    row = await locked(work, answer.delivery_id)
    if row is None or row["state"] != "sending" or row["attempts"] != answer.number:
        return
    await note_attempt(work, row, outcome="ambiguous" if error.ambiguous else "failed", reason=error.reason)
    if row["channel"] == chat.CHAT and error.kind is FailureKind.WINDOW:
        await chat.shut(work, person_id=row["person_id"])
    verdict = decide(
        Situation(
            kind=error.kind, ambiguous=error.ambiguous, attempts=row["attempts"], priority=row["priority"],
            now=work.now, give_up_at=row["give_up_at"], dedupe=dedupe, doubtful_since=row["doubtful_since"],
            jitter=jitter_of(row["delivery_id"], row["attempts"]),
        )
    )  # fmt: skip
    doubt = row["doubtful_since"] or (work.now if error.ambiguous else None)
    await follow(work, {**row, "doubtful_since": doubt}, verdict, reason=error.reason, kind=error.kind.value)


async def follow(work: UnitOfWork, row: Row, verdict: Verdict, *, reason: str, kind: str) -> None:
    """Carry out what the rule decided."""
    match verdict:
        case Retry(at=at):
            changed = {"state": "pending", "next_attempt_at": at, "reason": reason,
                       "doubtful_since": row["doubtful_since"]}  # fmt: skip
            await change(work, row["delivery_id"], changed)
            metrics.RETRIES.labels(row["event_class"], kind).inc()
        case AwaitReceipt(until=until):
            wait = row["fallback_seconds"] if row["ladder"] else None
            fallback_at = None if wait is None else max(row["doubtful_since"] + timedelta(seconds=wait), work.now)
            changed = {"state": "unknown", "reason": reason, "doubtful_since": row["doubtful_since"],
                       "confirm_by": until, "fallback_at": fallback_at if may_push_again(row) else None}  # fmt: skip
            await change(work, row["delivery_id"], changed)
            metrics.DELIVERIES.labels(row["event_class"], row["channel"], "unknown").inc()
        case _:
            again = row["doubtful_since"] is None or may_push_again(row)
            await fail(work, row, reason=reason, unusable=verdict.unusable, push_again=again)


def jitter_of(delivery_id: UUID, attempts: int) -> float:
    """In [0, 1): spreads retries, and is the same when a run is repeated."""
    return hashlib.sha256(delivery_id.bytes + attempts.to_bytes(4, "big")).digest()[0] / 256


async def receipt(work: UnitOfWork, *, message_id: str, status: str, openid: str | None = None) -> None:
    """A receipt that overtakes the provider's answer is kept until that answer is stored."""
    await _take_turns(work, {message_id})
    query = select(delivery).where(delivery.c.provider_message_id == message_id).with_for_update()
    row = next(iter(await rows_of(work, query)), None)
    if row is None and openid is not None:
        row = await _doubtful_one(work, openid)
        if row is not None:
            await change(work, row["delivery_id"], {"provider_message_id": message_id, "accepted_at": work.now})
    if row is None:
        values = {"provider_message_id": message_id, "status": status[:100], "received_at": work.now}
        await work.db.execute(upsert(early_receipt).values(**values).on_conflict_do_nothing())
    elif row["state"] in ("accepted", "unknown", "pending"):
        await _finish(work, row, status)


async def _take_turns(work: UnitOfWork, references: Iterable[str]) -> None:
    """An answer and its receipt stored at the same time would not see each other, and the receipt would be lost.

    A few locks stand for all references, taken in one order: a batch of hundreds takes them in one statement.
    """
    turns = sorted({zlib.crc32(reference.encode()) % _TURNS for reference in references})
    if turns:
        await work.db.execute(_TAKE_TURNS, {"turns": turns})


async def receipt_of(work: UnitOfWork, *, delivery_id: UUID, delivered: bool, reason: str = "") -> None:
    """A receipt that names our own message, as those of text messages do; it needs no answer stored before."""
    row = await locked(work, delivery_id)
    if row is None or row["state"] in ("delivered", "acknowledged", "failed", "suppressed"):
        return
    metrics.RECEIPTS.labels("success" if delivered else "failed").inc()
    if delivered:
        await deliver(work, row)
    else:
        await fail(work, row, reason=reason or "not delivered")


async def _doubtful_one(work: UnitOfWork, openid: str) -> Row | None:
    """The person's only message whose answer was lost, when no other is under way that the receipt could mean."""
    index = vault().blind_index(kind="wechat", value=openid)
    d = delivery.c
    query = (
        select(delivery)
        .join(contact, contact.c.person_id == d.person_id)
        .where(
            contact.c.kind == "wechat", contact.c.blind_index == index, d.channel == "wechat",
            d.state.in_(("sending", "unknown", "pending")),
        )
        .with_for_update(of=delivery)
    )  # fmt: skip
    rows = [r for r in (await work.db.execute(query)).mappings() if r["state"] != "pending" or r["doubtful_since"]]
    alone = len(rows) == 1 and rows[0]["state"] != "sending" and rows[0]["doubtful_since"] is not None
    return dict(rows[0]) if alone else None


async def _finish(work: UnitOfWork, row: Row, status: str) -> None:
    outcome = job_outcome(status=status)
    metrics.RECEIPTS.labels(outcome.value).inc()
    if outcome is JobOutcome.SUCCESS:
        await deliver(work, row)
    else:
        await fail(work, row, reason=status, unusable=outcome is JobOutcome.USER_BLOCK)


async def opened(work: UnitOfWork, *, row: Row) -> None:
    """The person followed their own link or opened the message in the inbox. Repeated openings change nothing."""
    if not await _first_time(work, row, "opened_at"):
        return
    places = await places_by_delivery(work, [row["delivery_id"]])
    message_opened(work, row=row, places=places.get(row["delivery_id"], ()))
    if row["state"] in ("accepted", "unknown", "pending", "sending"):
        await deliver(work, row)  # who reads it has it, whatever the receipt says later


async def acknowledged(work: UnitOfWork, *, row: Row) -> None:
    """One tap. It also counts as opened; what still waits on other channels is not sent."""
    if not await _first_time(work, row, "acknowledged_at"):
        return
    await opened(work, row=row)
    changed: dict[str, Any] = {
        "state": "acknowledged", "fallback_at": None, "confirm_by": None, "ended_at": work.now,
    }  # fmt: skip
    await change(work, row["delivery_id"], changed)
    places = await places_by_delivery(work, [row["delivery_id"]])
    message_acknowledged(work, row=row, places=places.get(row["delivery_id"], ()))
    metrics.DELIVERIES.labels(row["event_class"], row["channel"], "acknowledged").inc()
    await acknowledged_elsewhere(work, row, but=row["delivery_id"])
    if row["event_class"] == confirmation.EVENT_CLASS:
        await confirmation.confirm(work, person_id=row["person_id"])


async def _first_time(work: UnitOfWork, row: Row, column: str) -> bool:
    mine = update(delivery).where(delivery.c.delivery_id == row["delivery_id"], delivery.c[column].is_(None))
    done = await work.db.execute(mine.values({column: work.now}).returning(delivery.c.delivery_id))
    return done.first() is not None


def _observe(rows: Sequence[Row], work: UnitOfWork) -> None:
    waits: dict[tuple[str, str], list[float]] = defaultdict(list)
    for row in rows:
        waits[row["event_class"], row["channel"]].append((work.now - row["event_at"]).total_seconds())
    for (event_class, channel), seconds in waits.items():
        seen = metrics.EVENT_TO_ACCEPT.labels(event_class, channel)
        for wait in seconds:
            seen.observe(wait)
            if event_class == "fault-outage":
                metrics.FAULT_TO_ACCEPT.observe(wait)
        metrics.DELIVERIES.labels(event_class, channel, "accepted").inc(len(seconds))
