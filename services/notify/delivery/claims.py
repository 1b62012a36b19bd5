"""Takes due messages of one channel under a lease: urgent ones first, within all limits, each looked at once more.

Replicas share the queue by SKIP LOCKED. What died in the middle comes back when its lease ends, as doubtful.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from uuid import UUID

from sqlalchemy import and_, exists, or_, select, update
from sqlalchemy.sql import ColumnElement

from services.kernel.work import UnitOfWork
from services.notify.adapters.port import Channel, Outgoing
from services.notify.delivery import chat, checks, circuits
from services.notify.delivery.limits import Allowance, Limits, take_one_each
from services.notify.delivery.links import link_key
from services.notify.delivery.outcomes import follow
from services.notify.delivery.rows import Row, change, note_attempt, places_by_delivery, rows_of
from services.notify.delivery.steps import fail
from services.notify.delivery.wording import addresses, classes_of, outgoing, template_of
from services.notify.policy.planning import Place
from services.notify.rules.limits import limits_of
from services.notify.rules.retries import CONFIRMATION_WAIT, URGENT, AwaitReceipt
from services.notify.rules.shares import WEIGHTS, guaranteed
from services.notify.tables import delivery
from services.notify.templates.store import texts_in_force

LEASE = timedelta(seconds=30)
_OF_PRIORITY = """
  SELECT d.* FROM notify.delivery d
  WHERE d.channel = $1 AND d.priority = {priority} AND d.state IN ('pending', 'sending') AND d.next_attempt_at <= $2
    AND d.event_class <> ALL($3::text[]) AND d.delivery_id <> ALL($4::uuid[])
    AND (d.after_delivery_id IS NULL OR NOT EXISTS (
      SELECT FROM notify.delivery b WHERE b.delivery_id = d.after_delivery_id AND b.state IN ('pending', 'sending')))
  ORDER BY d.next_attempt_at LIMIT ${limit} FOR UPDATE OF d SKIP LOCKED"""
_PARTS = ", ".join(f"p{p} AS ({_OF_PRIORITY.format(priority=p, limit=p + 5)})" for p in range(len(WEIGHTS)))
_TAKE_DUE = f"WITH {_PARTS} TABLE p0 UNION ALL TABLE p1 UNION ALL TABLE p2 UNION ALL TABLE p3"
_LEASE = """
UPDATE notify.delivery SET state = 'sending', attempts = attempts + 1, next_attempt_at = $2, provider = $3
WHERE delivery_id = ANY($1::uuid[])"""
NOT_CONFIGURED = "not-configured"


@dataclass(frozen=True, kw_only=True)
class Claimed:
    """`after_s`: how long after the claim the message's token is there."""

    number: int
    template_id: str
    message: Outgoing
    places: tuple[Place, ...] = ()
    after_s: float = 0.0


@dataclass(kw_only=True)
class Claim:
    """`took` counts rows that were looked at, also those that ended here; `wait`: when to come again at the latest.

    `per_second` is the pace of the provider's tightest limit.
    """

    provider: Channel | None = None
    messages: list[Claimed] = field(default_factory=list)
    took: int = 0
    wait: timedelta | None = None
    per_second: float | None = None


async def claim(
    work: UnitOfWork, *, channel: str, providers: Sequence[Channel], room: int, limits: Limits, ahead_s: float = 0.0
) -> Claim:
    """Messages for the first provider that works; where none does, urgent ones go to their next channel at once.

    Of a limit's tokens also those that come within `ahead_s` are taken.
    """
    if not providers:
        return await _pass_on(work, channel, room, reason=NOT_CONFIGURED, urgent_only=False)
    for provider in providers:
        standing = await circuits.standing(work, provider=provider.name)
        if standing.closed or standing.probe:
            return await _claim_for(
                work, channel=channel, provider=provider, standing=standing, room=room, limits=limits, ahead_s=ahead_s
            )
    return await _pass_on(work, channel, room, reason="circuit-open", urgent_only=True)


async def _claim_for(
    work: UnitOfWork, *, channel: str, provider: Channel, standing: circuits.Standing, room: int, limits: Limits,
    ahead_s: float,
) -> Claim:  # fmt: skip
    allowance = Allowance(work, limits_of(provider.name, limits, scope="account"))
    await allowance.lock()
    urgent, other = (allowance.room(urgent=u, ahead_s=ahead_s) for u in (True, False))
    most = room if standing.closed else 1
    urgent_room = most if urgent is None else min(most, urgent)
    other_room = urgent_room if other is None else min(urgent_room, other)
    if urgent_room == 0:
        return Claim(provider=provider, wait=allowance.soonest(ahead_s=ahead_s))
    shut = classes_of(standing.shut_templates)
    rows = await _due(work, channel, urgent_room=urgent_room, other_room=other_room, shut=shut)
    result = Claim(provider=provider, took=len(rows), per_second=allowance.per_second)
    ready = await _resendable(work, provider, _one_to_try(rows, standing.probe_templates))
    ready = await checks.still_wanted(work, ready)
    ready = await _within_recipients(work, provider, limits, ready)
    leased = await _lease(work, provider, channel, ready)
    result.messages = [
        replace(m, after_s=later) if (later := allowance.due_s(nth)) > 0 else m for nth, m in enumerate(leased)
    ]
    await allowance.spend(len(result.messages))
    if shut:
        passed = await _pass_on(work, channel, room, reason="circuit-open", urgent_only=True, classes=shut)
        result.took += passed.took
    return result


def _one_to_try(rows: Sequence[Row], templates: frozenset[str]) -> list[Row]:
    """Of a template that was refused before one message only; the others stay where they are."""
    tried: set[str] = set()
    kept = []
    for row in rows:
        template_id = template_of(row["event_class"])
        if template_id in templates and template_id in tried:
            continue
        tried.add(template_id)
        kept.append(row)
    return kept


def _is_due(work: UnitOfWork, channel: str) -> list[ColumnElement[bool]]:
    d, before = delivery.c, delivery.alias("before")
    predecessor_open = exists().where(
        before.c.delivery_id == d.after_delivery_id, before.c.state.in_(("pending", "sending"))
    )
    return [
        d.channel == channel,
        d.state.in_(("pending", "sending")),
        d.next_attempt_at <= work.now,
        or_(d.after_delivery_id.is_(None), ~predecessor_open),
    ]


async def _due(work: UnitOfWork, channel: str, *, urgent_room: int, other_room: int, shut: Sequence[str]) -> list[Row]:
    """Guaranteed parts first; what a priority leaves unused goes to the most urgent."""
    wanted = [min(n, other_room) if p > URGENT else n for p, n in enumerate(guaranteed(urgent_room))]
    rows = await _taken(work, channel, wanted, shut=shut, but=())
    rest = urgent_room - len(rows)
    rest_other = other_room - sum(1 for r in rows if r["priority"] > URGENT)
    full = {p for p, n in enumerate(wanted) if sum(r["priority"] == p for r in rows) >= n}
    for priority in sorted(full):
        limit = rest if priority <= URGENT else min(rest, rest_other)
        if limit <= 0:
            continue
        only = [limit if p == priority else 0 for p in range(len(wanted))]
        found = await _taken(work, channel, only, shut=shut, but=[r["delivery_id"] for r in rows])
        rows += found
        rest -= len(found)
        rest_other -= len(found) if priority > URGENT else 0
    return rows


async def _taken(
    work: UnitOfWork, channel: str, wanted: Sequence[int], *, shut: Sequence[str], but: Sequence[UUID]
) -> list[Row]:
    """Due rows, locked: of each priority as many as are wanted, the longest due first."""
    connection = await work.raw()
    found = await connection.fetch(_TAKE_DUE, channel, work.now, list(shut), list(but), *wanted)
    return [dict(record) for record in found]


async def _resendable(work: UnitOfWork, provider: Channel, rows: Sequence[Row]) -> list[Row]:
    """A message that may be out goes again only where the provider would notice the repetition, and while it does.

    That is one whose sender died, and one that was to be tried again and had to wait: for a circuit, for a sender.
    """
    ready: list[Row] = []
    for row in rows:
        died = row["state"] == "sending"
        if not died and row["doubtful_since"] is None:
            ready.append(row)
            continue
        if died:
            await note_attempt(work, row, outcome="lost", reason="lease ended without an answer")
        doubt = row["doubtful_since"] or row["next_attempt_at"] - LEASE
        doubtful = {**row, "doubtful_since": doubt}
        if row["provider"] == provider.name and work.now < doubt + provider.dedupe:
            ready.append(doubtful)
        else:
            until = max(doubt + CONFIRMATION_WAIT, work.now)
            await follow(work, doubtful, AwaitReceipt(until=until), reason="answer lost", kind="lost")
    return ready


async def _within_recipients(work: UnitOfWork, provider: Channel, limits: Limits, rows: Sequence[Row]) -> list[Row]:
    """One message per person and claim where the provider limits persons; who is over the limit waits as a row."""
    per_person = limits_of(provider.name, limits, scope="recipient")
    if not per_person:
        return list(rows)
    first: dict[str, Row] = {}
    held: dict[UUID, timedelta] = {}
    for row in rows:
        if row["person_id"] in first:
            held[row["delivery_id"]] = timedelta(0)
        else:
            first[row["person_id"]] = row
    for limit in per_person:
        refused = await take_one_each(work, limit, people=first)
        for person_id, wait in refused.items():
            held[first.pop(person_id)["delivery_id"]] = wait
    for row in rows:
        pause = held.get(row["delivery_id"], timedelta(0))
        if pause > timedelta(0):
            again = work.now + pause
            if row["priority"] <= URGENT and row["ladder"]:
                await fail(work, row, reason="recipient-limit")
            else:
                put_off = update(delivery).where(delivery.c.delivery_id == row["delivery_id"])
                await work.db.execute(put_off.values(next_attempt_at=again, state="pending"))
    return list(first.values())


async def _lease(work: UnitOfWork, provider: Channel, channel: str, rows: Sequence[Row]) -> list[Claimed]:
    if not rows:
        return []
    known = await addresses(work, channel=channel, people=sorted({r["person_id"] for r in rows}))
    reachable = [r for r in rows if r["person_id"] in known]
    for row in rows:
        if row["person_id"] not in known:
            await fail(work, row, reason="no-usable-address")
    spoken: dict[UUID, chat.Spoken] = {}
    if channel == chat.CHAT:
        spoken = await chat.sayable(work, reachable, openids=known)
        reachable = [r for r in reachable if r["delivery_id"] in spoken]
    if not reachable:
        return []
    connection = await work.raw()
    await connection.execute(_LEASE, [r["delivery_id"] for r in reachable], work.now + LEASE, provider.name)
    for row in reachable:
        if row["state"] == "sending" and row["doubtful_since"] is not None:
            await change(work, row["delivery_id"], {"doubtful_since": row["doubtful_since"]})
    places = await places_by_delivery(work, [r["delivery_id"] for r in reachable])
    await texts_in_force(work)
    key = link_key()
    return [
        Claimed(
            number=row["attempts"] + 1, template_id=template_of(row["event_class"]),
            message=outgoing(
                work, row, address=known[row["person_id"]], places=places, link_key=key,
                spoken=spoken.get(row["delivery_id"]),
            ),
            places=places.get(row["delivery_id"], ()),
        )
        for row in reachable
    ]  # fmt: skip


async def _pass_on(
    work: UnitOfWork, channel: str, room: int, *, reason: str, urgent_only: bool, classes: Sequence[str] = ()
) -> Claim:
    """Due messages leave the channel unsent; a doubtful one stays where a receipt can still find it."""
    d = delivery.c
    query = select(delivery).where(*_is_due(work, channel))
    if urgent_only:
        query = query.where(d.priority <= URGENT)
    if classes:
        query = query.where(d.event_class.in_(classes))
    query = query.where(or_(d.state == "pending", and_(d.state == "sending", d.next_attempt_at <= work.now)))
    query = query.order_by(d.priority, d.next_attempt_at).limit(room).with_for_update(skip_locked=True)
    rows = await rows_of(work, query)
    for row in rows:
        await fail(work, row, reason=reason)
    return Claim(took=len(rows), wait=None if rows else timedelta(seconds=1))
