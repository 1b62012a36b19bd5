"""Stores the messages of a happening for all its recipients at once: one statement, conflict-free by the unique key.

One message per person names all of the person's accounts, also those that a later part of the happening brings.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import String, all_, and_, any_, literal, not_, select, update
from sqlalchemy.dialects.postgresql import ARRAY

from services.kernel.work import Cause, UnitOfWork
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

# Lists of identifiers travel as one text each: as arrays they cost more than the rows they become.
_FAN_OUT = """
WITH happened AS (
  SELECT * FROM unnest($1::int[], $2::text[], $3::text[], $4::timestamptz[], $5::text[], $6::text[], $7::text[])
    AS h(n, happening, subject_id, event_at, facts, cause_type, cause_id)
), stored AS (
  INSERT INTO notify.delivery (
    delivery_id, happening, person_id, channel, event_class, subject_id, customer_id, cause_type, cause_id, facts,
    language, priority, state, reason, ladder, mandatory, fallback_seconds, ack, digest, told_of,
    after_delivery_id, next_attempt_at, give_up_at, event_at, created_at, accepted_at, delivered_at, ended_at)
  SELECT
    encode(substring(sha256(convert_to(h.happening || '|' || r.person_id || '|' || $11::text, 'UTF8'))
                     FROM 1 FOR 16), 'hex')::uuid,
    h.happening, r.person_id, $11, $15, h.subject_id, r.customer_id, h.cause_type, h.cause_id,
    jsonb_build_object('customer', coalesce(c.name, r.customer_id)) || h.facts::jsonb,
    coalesce(p.language, 'zh'), $16, $14::text, CASE WHEN $14 = 'suppressed' THEN 'older-than-class-allows' END,
    $12::text[], $17, $18, $19, $20, $21::text[],
    (SELECT o.delivery_id FROM notify.delivery o
     WHERE cardinality($28::text[]) > 0 AND o.person_id = r.person_id AND o.subject_id = h.subject_id
       AND o.event_class = ANY($28) AND o.state IN ('pending', 'sending') ORDER BY o.seq DESC LIMIT 1),
    $13, $22, h.event_at, $23::timestamptz, CASE WHEN $14 = 'delivered' THEN $23 END,
    CASE WHEN $14 = 'delivered' THEN $23 END, CASE WHEN $14 IN ('delivered', 'suppressed') THEN $23 END
  FROM unnest(string_to_array($8, chr(10)), string_to_array($9, chr(10)), string_to_array($10, chr(10))::int[])
    AS r(person_id, customer_id, n)
  JOIN happened h USING (n)
  LEFT JOIN notify.person p ON p.person_id = r.person_id
  LEFT JOIN notify.customer c ON c.customer_id = r.customer_id
  ON CONFLICT DO NOTHING
  RETURNING delivery_id, happening, person_id, customer_id
), named AS (
  INSERT INTO notify.delivery_account (delivery_id, account_id, customer_id)
  SELECT s.delivery_id, a.account_id, a.customer_id
  FROM unnest(string_to_array($24, chr(10)), string_to_array($25, chr(10)), string_to_array($26, chr(10)),
              string_to_array($27, chr(10))::int[]) AS a(person_id, account_id, customer_id, n)
  JOIN happened h USING (n)
  JOIN stored s ON s.person_id = a.person_id AND s.happening = h.happening
)
SELECT delivery_id, happening, person_id, customer_id FROM stored"""
_MANY = 50
_PLAN_ANEW = "SELECT set_config('plan_cache_mode', 'force_custom_plan', true)"
"""For many rows: a plan made for any number of them expects ten, and compares each account with each message."""


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
    cause: Cause | None = None
    """Where it is another one than the transaction's."""

    @property
    def later(self) -> str:
        """The name under which places are told that come when the first message has gone."""
        return f"{self.name}|{self.part}"


@dataclass(frozen=True, kw_only=True)
class _New:
    told: Told
    recipient: Recipient
    name: str
    places: tuple[Place, ...]


async def store(work: UnitOfWork, *, rule: Rule, told: Told, recipients: Sequence[Recipient]) -> None:
    """New messages, places added to those that have not gone, further messages for late places. Safe to repeat."""
    await store_all(work, rule=rule, happened=[(told, recipients)])


async def store_all(work: UnitOfWork, *, rule: Rule, happened: Sequence[tuple[Told, Sequence[Recipient]]]) -> None:
    """As `store`, for several happenings of one class with names of their own."""
    wanted = [(told, recipients) for told, recipients in happened if recipients]
    if not wanted:
        return
    new = await _grown(work, wanted)
    if new:
        await _insert(work, rule, new)


async def withdraw(work: UnitOfWork, *, rule: Rule, names: Mapping[str, str]) -> None:
    """What the class makes superfluous and has not gone is not sent: who was told nothing needs no correction.

    `names`: happening -> its subject. Messages of the happening itself, which other parts of it brought, stay.
    """
    d = delivery.c
    subjects = any_(literal(sorted(set(names.values())), ARRAY(String)))
    own = [not_(d.happening.startswith(f"{name}|", autoescape=True)) for name in sorted(names)]
    other = and_(d.happening != all_(literal(sorted(names), ARRAY(String))), *own)
    unsent = (d.subject_id == subjects, d.state.in_(("held", "pending")), d.attempts == 0, other)
    withdrawn = rule.told_of if rule.withdraws_unsent else ()
    for classes, why in ((rule.replaces, "superseded"), (withdrawn, "withdrawn-before-sending")):
        if not classes:
            continue
        gone = update(delivery).where(*unsent, d.event_class.in_(classes))
        gone = gone.values(state="suppressed", reason=why, ended_at=work.now)
        stopped = (await work.db.execute(gone.returning(d.delivery_id))).all()
        metrics.DUPLICATES_SUPPRESSED.labels(why).inc(len(stopped))


async def _grown(work: UnitOfWork, wanted: Sequence[tuple[Told, Sequence[Recipient]]]) -> list[_New]:
    """Adds late places to messages that can still grow; returns what needs a message of its own."""
    d = delivery.c
    subjects = sorted({told.subject_id for told, _ in wanted})
    people = sorted({r.person_id for _, recipients in wanted for r in recipients})
    names = sorted({name for told, _ in wanted for name in (told.name, told.later)})
    known = select(delivery).where(
        *(column == any_(literal(values, ARRAY(String)))
          for column, values in ((d.subject_id, subjects), (d.person_id, people), (d.happening, names)))
    )  # fmt: skip
    rows = await rows_of(work, known.order_by(d.delivery_id).with_for_update())
    by_person: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        by_person.setdefault((row["happening"], row["person_id"]), []).append(row)
    named = await _accounts_named(work, [r["delivery_id"] for r in rows]) if rows else {}
    new: list[_New] = []
    for told, recipients in wanted:
        for recipient in recipients:
            own = [r for n in (told.name, told.later) for r in by_person.get((n, recipient.person_id), ())]
            seen = {account for r in own for account in named.get(r["delivery_id"], ())}
            fresh = tuple(p for p in recipient.places if p.account_id not in seen)
            if not own:
                new.append(_New(told=told, recipient=recipient, name=told.name, places=recipient.places))
            elif fresh and (growing := _can_grow(own, recipient)) is not None:
                await add_places(work, growing["delivery_id"], fresh)
                if growing["channel"] == INBOX:
                    message_delivered(work, row=growing, places=fresh)
            elif fresh:
                new.append(_New(told=told, recipient=recipient, name=told.later, places=fresh))
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


async def _insert(work: UnitOfWork, rule: Rule, new: Sequence[_New]) -> None:
    quiet = await _quiet(work, rule, [n.recipient.person_id for n in new])
    alike: dict[tuple[tuple[str, ...], datetime, str], list[_New]] = defaultdict(list)
    for n in new:
        leaves_at = _leaves_at(work, rule, n.told, quiet.get(n.recipient.person_id, HOUSE_QUIET))
        state = _state(n, leaves_at, work.now, rule)
        alike[n.recipient.channels, leaves_at if n.recipient.channel != INBOX else work.now, state].append(n)
    connection = await work.raw()
    if len(new) > _MANY:
        await connection.execute(_PLAN_ANEW)
    for (channels, leaves_at, state), some in sorted(alike.items(), key=lambda item: item[0]):
        stored = await connection.fetch(
            _FAN_OUT, *_happened(work, some), *_people(some), channels[0], list(channels[1:]), leaves_at, state,
            some[0].told.event_class, rule.priority, rule.mandatory, rule.fallback_seconds, rule.ack, rule.digest,
            list(rule.told_of), leaves_at + timedelta(minutes=rule.give_up_minutes), work.now, *_accounts(some),
            [*rule.told_of, *rule.follows],
        )  # fmt: skip
        metrics.DELIVERIES.labels(some[0].told.event_class, channels[0], state).inc(len(stored))
        if state == "delivered":
            _say(work, some, channel=channels[0], stored=stored)
    await announce(work)


def _happened(work: UnitOfWork, some: Sequence[_New]) -> Iterable[list[Any]]:
    """Each happening once, under its number among the names of `some`."""
    first = {n.name: n for n in reversed(some)}
    rows = [
        (
            number, name, n.told.subject_id, n.told.event_at, json.dumps(dict(n.told.facts), ensure_ascii=False),
            (n.told.cause or work.cause).type, (n.told.cause or work.cause).id,
        )
        for number, (name, n) in enumerate(sorted(first.items()))
    ]  # fmt: skip
    return map(list, zip(*rows, strict=True))


def _numbers(some: Sequence[_New]) -> dict[str, str]:
    return {name: str(number) for number, name in enumerate(sorted({n.name for n in some}))}


def _people(some: Sequence[_New]) -> tuple[str, str, str]:
    number = _numbers(some)
    return (
        _lines(n.recipient.person_id for n in some), _lines(n.recipient.customer_id for n in some),
        _lines(number[n.name] for n in some),
    )  # fmt: skip


def _accounts(some: Sequence[_New]) -> tuple[str, str, str, str]:
    number = _numbers(some)
    accounts = [(n, place) for n in some for place in n.places]
    return (
        _lines(n.recipient.person_id for n, _ in accounts), _lines(p.account_id for _, p in accounts),
        _lines(p.customer_id for _, p in accounts), _lines(number[n.name] for n, _ in accounts),
    )  # fmt: skip


def _lines(identifiers: Iterable[str]) -> str:
    """No identifier holds a line break: the contracts see to it."""
    return "\n".join(identifiers)


def _say(work: UnitOfWork, some: Sequence[_New], *, channel: str, stored: Iterable[Row]) -> None:
    known = {(n.name, n.recipient.person_id): n for n in some}
    for row in stored:
        n = known[row["happening"], row["person_id"]]
        cause = n.told.cause or work.cause
        said = {
            **row, "cause_type": cause.type, "cause_id": cause.id, "subject_id": n.told.subject_id, "channel": channel,
        }  # fmt: skip
        message_delivered(work, row=said, places=n.places, cause=n.told.cause)


def _state(new: _New, leaves_at: datetime, now: datetime, rule: Rule) -> str:
    # What is over long ago (a back-fill, a late archive) is kept with the reason, and nobody's phone rings.
    if new.told.event_at + timedelta(minutes=rule.give_up_minutes) < now:
        return "suppressed"
    if new.recipient.channel == INBOX:
        return "delivered"
    return "held" if leaves_at > now and _may_wait(rule) else "pending"


def _may_wait(rule: Rule) -> bool:
    return not rule.mandatory and (rule.quiet == "hold" or rule.digest is not None)


async def _quiet(work: UnitOfWork, rule: Rule, people: Sequence[str]) -> dict[str, QuietHours]:
    """The hours of those who said some of their own, where the class keeps to them."""
    if not _may_wait(rule):
        return {}
    query = select(quiet_hours).where(quiet_hours.c.person_id == any_(literal(list(people), ARRAY(String))))
    return {r.person_id: QuietHours(zone=r.zone, begins=r.begins, ends=r.ends) for r in await work.db.execute(query)}


def _leaves_at(work: UnitOfWork, rule: Rule, told: Told, hours: QuietHours) -> datetime:
    """When the message may leave: in the person's own morning where the class waits for it."""
    if _may_wait(rule) and (rule.digest is not None or in_quiet(work.now, hours)):
        return next_morning(work.now, hours)
    return max(work.now, told.hold_until or work.now)
