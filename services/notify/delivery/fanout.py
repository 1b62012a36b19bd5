"""Stores the messages of a happening for all its recipients at once: one statement, conflict-free by the unique key.

One message per person names all of the person's accounts, also those that a later part of the happening brings.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import DateTime, String, and_, bindparam, not_, select, text, update
from sqlalchemy.dialects.postgresql import ARRAY

from services.kernel.work import UnitOfWork
from services.notify import metrics
from services.notify.delivery.rows import OPEN, TOLD, Row, add_places, rows_of
from services.notify.delivery.stream import announce
from services.notify.events_out import message_delivered
from services.notify.policy.document import Rule
from services.notify.policy.planning import Place, Recipient
from services.notify.rules.quiet import QuietHours, in_quiet, next_morning
from services.notify.tables import delivery, delivery_account, quiet_hours

INBOX = "inbox"
HOUSE_QUIET = QuietHours(zone="Asia/Shanghai", begins=time(21), ends=time(8))
"""For those who said nothing of their own."""

_FAN_OUT = text(
    """
    WITH told AS (
      SELECT * FROM unnest(CAST(:people AS varchar[]), CAST(:customers AS varchar[]), CAST(:names AS varchar[]),
                           CAST(:ladders AS varchar[]), CAST(:leaves AS timestamptz[]), CAST(:states AS varchar[]))
               AS r(person_id, customer_id, happening, ladder, leaves_at, state)
    ), row AS (
      SELECT r.*, string_to_array(r.ladder, ',') AS steps, split_part(r.ladder, ',', 1) AS channel FROM told r
    ), stored AS (
      INSERT INTO notify.delivery (
        delivery_id, happening, person_id, channel, event_class, subject_id, customer_id, cause_type, cause_id, facts,
        language, priority, state, reason, ladder, mandatory, fallback_seconds, ack, digest, told_of,
        after_delivery_id, next_attempt_at, give_up_at, event_at, created_at, accepted_at, delivered_at, ended_at)
      SELECT
        CAST(encode(substring(sha256(convert_to(r.happening || '|' || r.person_id || '|' || r.channel, 'UTF8'))
                              FROM 1 FOR 16), 'hex') AS uuid),
        r.happening, r.person_id, r.channel, :event_class, :subject_id, r.customer_id, :cause_type, :cause_id,
        jsonb_build_object('customer', coalesce(c.name, r.customer_id)) || CAST(:facts AS jsonb),
        coalesce(p.language, 'zh'), :priority, r.state,
        CASE WHEN r.state = 'suppressed' THEN 'older-than-class-allows' END, r.steps[2:], :mandatory,
        CAST(:fallback_seconds AS int), :ack, CAST(:digest AS varchar), :told_of, b.delivery_id,
        r.leaves_at, CAST(:give_up_at AS timestamptz) + (r.leaves_at - CAST(:now AS timestamptz)), :event_at, :now,
        CASE WHEN r.state = 'delivered' THEN CAST(:now AS timestamptz) END,
        CASE WHEN r.state = 'delivered' THEN CAST(:now AS timestamptz) END,
        CASE WHEN r.state IN ('delivered', 'suppressed') THEN CAST(:now AS timestamptz) END
      FROM row r
      LEFT JOIN notify.person p ON p.person_id = r.person_id
      LEFT JOIN notify.customer c ON c.customer_id = r.customer_id
      LEFT JOIN LATERAL (
        SELECT o.delivery_id FROM notify.delivery o
        WHERE o.person_id = r.person_id AND o.subject_id = :subject_id AND o.event_class = ANY(:told_of)
          AND o.state IN ('pending', 'sending') LIMIT 1
      ) b ON true
      ON CONFLICT DO NOTHING
      RETURNING delivery_id, happening, person_id, customer_id, channel, state
    ), named AS (
      INSERT INTO notify.delivery_account (delivery_id, account_id, customer_id)
      SELECT s.delivery_id, a.account_id, a.customer_id
      FROM unnest(CAST(:account_people AS varchar[]), CAST(:account_names AS varchar[]), CAST(:accounts AS varchar[]),
                  CAST(:account_customers AS varchar[])) AS a(person_id, happening, account_id, customer_id)
      JOIN stored s ON s.person_id = a.person_id AND s.happening = a.happening
    )
    SELECT * FROM stored
    """
).bindparams(
    *[bindparam(n, type_=ARRAY(String)) for n in (
        "people", "customers", "names", "ladders", "states", "account_people", "account_names", "accounts",
        "account_customers", "told_of",
    )],
    bindparam("leaves", type_=ARRAY(DateTime(timezone=True))),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Told:
    """What all messages of the happening share; `part` names a later addition to it."""

    name: str
    event_class: str
    subject_id: str
    event_at: datetime
    facts: Mapping[str, Any] = field(default_factory=dict)
    part: str = "1"
    hold_until: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class _New:
    recipient: Recipient
    name: str
    places: tuple[Place, ...]


async def store(work: UnitOfWork, *, rule: Rule, told: Told, recipients: Sequence[Recipient]) -> None:
    """New messages, places added to those that have not gone, further messages for late places. Safe to repeat."""
    if not recipients:
        return
    new = await _grown(work, told, recipients)
    if new:
        await _insert(work, rule, told, new)


async def withdraw(work: UnitOfWork, *, rule: Rule, subject_id: str, happening: str) -> None:
    """What the class makes superfluous and has not gone is not sent: who was told nothing needs no correction.

    Messages of the happening itself, which other parts of it brought, stay.
    """
    d = delivery.c
    other = and_(d.happening != happening, not_(d.happening.startswith(f"{happening}|", autoescape=True)))
    unsent = (d.subject_id == subject_id, d.state.in_(("held", "pending")), d.attempts == 0, other)
    withdrawn = rule.told_of if rule.withdraws_unsent else ()
    for classes, why in ((rule.replaces, "superseded"), (withdrawn, "withdrawn-before-sending")):
        if not classes:
            continue
        gone = update(delivery).where(*unsent, d.event_class.in_(classes))
        gone = gone.values(state="suppressed", reason=why, ended_at=work.now)
        stopped = (await work.db.execute(gone.returning(d.delivery_id))).all()
        metrics.DUPLICATES_SUPPRESSED.labels(why).inc(len(stopped))


async def _grown(work: UnitOfWork, told: Told, recipients: Sequence[Recipient]) -> list[_New]:
    """Adds late places to messages that can still grow; returns what needs a message of its own."""
    later = f"{told.name}|{told.part}"
    d = delivery.c
    known = select(delivery).where(
        d.happening.in_((told.name, later)), d.person_id.in_([r.person_id for r in recipients])
    )
    rows = await rows_of(work, known.order_by(d.delivery_id).with_for_update())
    if not rows:
        return [_New(recipient=r, name=told.name, places=r.places) for r in recipients]
    by_person: dict[str, list[Row]] = {}
    for row in rows:
        by_person.setdefault(row["person_id"], []).append(row)
    named = await _accounts_named(work, [r["delivery_id"] for r in rows])
    new: list[_New] = []
    for recipient in recipients:
        own = by_person.get(recipient.person_id, [])
        seen = {account for r in own for account in named.get(r["delivery_id"], ())}
        fresh = tuple(p for p in recipient.places if p.account_id not in seen)
        if not own:
            new.append(_New(recipient=recipient, name=told.name, places=recipient.places))
        elif fresh and (growing := _can_grow(own, recipient)) is not None:
            await add_places(work, growing["delivery_id"], fresh)
            if growing["channel"] == INBOX:
                message_delivered(work, row=growing, places=fresh)
        elif fresh:
            new.append(_New(recipient=recipient, name=later, places=fresh))
    return new


def _can_grow(own: Sequence[Row], recipient: Recipient) -> Row | None:
    """A message that has not gone, or one in the inbox, which is worded when it is read."""
    for row in own:
        if row["channel"] == INBOX and recipient.channel == INBOX and row["state"] in TOLD:
            return row
        if row["channel"] != INBOX and row["state"] in OPEN[:2] and row["attempts"] == 0:
            return row
    return None


async def _accounts_named(work: UnitOfWork, delivery_ids: Sequence[UUID]) -> dict[UUID, set[str]]:
    a = delivery_account.c
    found: dict[UUID, set[str]] = {}
    query = select(a.delivery_id, a.account_id).where(a.delivery_id.in_(delivery_ids))
    for row in await work.db.execute(query):
        found.setdefault(row.delivery_id, set()).add(row.account_id)
    return found


async def _insert(work: UnitOfWork, rule: Rule, told: Told, new: Sequence[_New]) -> None:
    # What is over long ago (a back-fill, a late archive) is kept with the reason, and nobody's phone rings.
    too_old = told.event_at + timedelta(minutes=rule.give_up_minutes) < work.now
    leaves = await _leaves(work, rule, told, [n.recipient.person_id for n in new])
    states = [_state(n.recipient, leaves[n.recipient.person_id], work.now, too_old, rule) for n in new]
    accounts = [(n, place) for n in new for place in n.places]
    parameters = {
        "people": [n.recipient.person_id for n in new], "customers": [n.recipient.customer_id for n in new],
        "names": [n.name for n in new], "ladders": [",".join(n.recipient.channels) for n in new],
        "leaves": [leaves[n.recipient.person_id] if n.recipient.channel != INBOX else work.now for n in new],
        "states": states,
        "account_people": [n.recipient.person_id for n, _ in accounts], "account_names": [n.name for n, _ in accounts],
        "accounts": [p.account_id for _, p in accounts], "account_customers": [p.customer_id for _, p in accounts],
        "event_class": told.event_class, "subject_id": told.subject_id, "cause_type": work.cause.type,
        "cause_id": work.cause.id, "facts": json.dumps(dict(told.facts), ensure_ascii=False),
        "priority": rule.priority, "mandatory": rule.mandatory, "fallback_seconds": rule.fallback_seconds,
        "ack": rule.ack, "digest": rule.digest, "told_of": list(rule.told_of), "now": work.now,
        "event_at": told.event_at, "give_up_at": work.now + timedelta(minutes=rule.give_up_minutes),
    }  # fmt: skip
    stored = [dict(r) for r in (await work.db.execute(_FAN_OUT, parameters)).mappings()]
    _say(work, told, new, stored)
    await announce(work)


def _say(work: UnitOfWork, told: Told, new: Sequence[_New], stored: Iterable[Row]) -> None:
    places = {(n.recipient.person_id, n.name): n.places for n in new}
    common = {"cause_type": work.cause.type, "cause_id": work.cause.id, "subject_id": told.subject_id}
    counted: dict[tuple[str, str], int] = {}
    for row in stored:
        counted[row["channel"], row["state"]] = counted.get((row["channel"], row["state"]), 0) + 1
        if row["state"] == "delivered":
            message_delivered(work, row={**row, **common}, places=places[row["person_id"], row["happening"]])
    for (channel, state), count in counted.items():
        metrics.DELIVERIES.labels(told.event_class, channel, state).inc(count)


def _state(recipient: Recipient, leaves_at: datetime, now: datetime, too_old: bool, rule: Rule) -> str:
    if too_old:
        return "suppressed"
    if recipient.channel == INBOX:
        return "delivered"
    return "held" if leaves_at > now and _may_wait(rule) else "pending"


def _may_wait(rule: Rule) -> bool:
    return not rule.mandatory and (rule.quiet == "hold" or rule.digest is not None)


async def _leaves(work: UnitOfWork, rule: Rule, told: Told, people: Sequence[str]) -> dict[str, datetime]:
    """When each person's message may leave: in their own morning where the class waits for it."""
    soonest = max(work.now, told.hold_until or work.now)
    if not _may_wait(rule):
        return dict.fromkeys(people, soonest)
    query = select(quiet_hours).where(quiet_hours.c.person_id.in_(people))
    own = {r.person_id: QuietHours(zone=r.zone, begins=r.begins, ends=r.ends) for r in await work.db.execute(query)}
    found = {}
    for person in people:
        hours = own.get(person, HOUSE_QUIET)
        waits = rule.digest is not None or in_quiet(work.now, hours)
        found[person] = next_morning(work.now, hours) if waits else soonest
    return found
