"""Takes due messages of one channel under a lease: urgent ones first, within all limits, each looked at once more.

Replicas share the queue by SKIP LOCKED. What died in the middle comes back when its lease ends, as doubtful.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import CTE, and_, exists, or_, select, union_all, update
from sqlalchemy.sql import ColumnElement

from services.kernel.work import UnitOfWork
from services.notify.adapters.port import Channel, Outgoing
from services.notify.delivery import checks, circuits
from services.notify.delivery.limits import Allowance, Limits, take_one_each
from services.notify.delivery.links import link_key
from services.notify.delivery.outcomes import follow
from services.notify.delivery.rows import Row, note_attempt, places_by_delivery, rows_of
from services.notify.delivery.steps import fail
from services.notify.delivery.wording import addresses, classes_of, outgoing, template_of
from services.notify.rules.limits import limits_of
from services.notify.rules.retries import CONFIRMATION_WAIT, URGENT, AwaitReceipt
from services.notify.rules.shares import guaranteed
from services.notify.tables import delivery
from services.notify.templates.store import texts_in_force

LEASE = timedelta(seconds=30)
NOT_CONFIGURED = "not-configured"


@dataclass(frozen=True, kw_only=True)
class Claimed:
    number: int
    template_id: str
    message: Outgoing


@dataclass(kw_only=True)
class Claim:
    """`took` counts rows that were looked at, also those that ended here; `wait`: when to come again at the latest."""

    provider: Channel | None = None
    messages: list[Claimed] = field(default_factory=list)
    took: int = 0
    wait: timedelta | None = None


async def claim(work: UnitOfWork, *, channel: str, providers: Sequence[Channel], room: int, limits: Limits) -> Claim:
    """Messages for the first provider that works; where none does, urgent ones go to their next channel at once."""
    if not providers:
        return await _pass_on(work, channel, room, reason=NOT_CONFIGURED, urgent_only=False)
    for provider in providers:
        standing = await circuits.standing(work, provider=provider.name)
        if standing.closed or standing.probe:
            return await _claim_for(
                work, channel=channel, provider=provider, standing=standing, room=room, limits=limits
            )
    return await _pass_on(work, channel, room, reason="circuit-open", urgent_only=True)


async def _claim_for(
    work: UnitOfWork, *, channel: str, provider: Channel, standing: circuits.Standing, room: int, limits: Limits
) -> Claim:
    allowance = Allowance(work, limits_of(provider.name, limits, scope="account"))
    await allowance.lock()
    urgent, other = allowance.room(urgent=True), allowance.room(urgent=False)
    most = room if standing.closed else 1
    urgent_room = most if urgent is None else min(most, urgent)
    other_room = urgent_room if other is None else min(urgent_room, other)
    if urgent_room == 0:
        return Claim(provider=provider, wait=allowance.soonest())
    shut = classes_of(standing.shut_templates)
    rows = await _due(work, channel, urgent_room=urgent_room, other_room=other_room, shut=shut)
    result = Claim(provider=provider, took=len(rows))
    ready = await _resendable(work, provider, _one_to_try(rows, standing.probe_templates))
    ready = await checks.still_wanted(work, ready)
    ready = await _within_recipients(work, provider, limits, ready)
    result.messages = await _lease(work, provider, channel, ready)
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


def _is_due(work: UnitOfWork, channel: str, shut: Sequence[str] = ()) -> list[ColumnElement[bool]]:
    d, before = delivery.c, delivery.alias("before")
    predecessor_open = exists().where(
        before.c.delivery_id == d.after_delivery_id, before.c.state.in_(("pending", "sending"))
    )
    due = [
        d.channel == channel,
        d.state.in_(("pending", "sending")),
        d.next_attempt_at <= work.now,
        or_(d.after_delivery_id.is_(None), ~predecessor_open),
    ]
    return [*due, d.event_class.not_in(shut)] if shut else due


async def _due(work: UnitOfWork, channel: str, *, urgent_room: int, other_room: int, shut: Sequence[str]) -> list[Row]:
    """Guaranteed parts first; what a priority leaves unused goes to the most urgent."""
    d, due = delivery.c, _is_due(work, channel, shut)

    def of_priority(priority: int, limit: int) -> CTE:
        query = select(delivery).where(d.priority == priority, *due).order_by(d.next_attempt_at).limit(limit)
        return query.with_for_update(skip_locked=True).cte(f"p{priority}")

    parts = guaranteed(urgent_room)
    wanted = [(p, min(n, other_room) if p > URGENT else n) for p, n in enumerate(parts)]
    ctes = [of_priority(p, n) for p, n in wanted if n > 0]
    rows = await rows_of(work, union_all(*[select(c) for c in ctes]))
    others = sum(1 for r in rows if r["priority"] > URGENT)
    rest, rest_other = urgent_room - len(rows), other_room - others
    full = {p for p, n in wanted if sum(r["priority"] == p for r in rows) >= n}
    if rest <= 0 or not full:
        return rows
    for priority in sorted(full):
        limit = rest if priority <= URGENT else min(rest, rest_other)
        if limit <= 0:
            continue
        more = select(delivery).where(
            d.priority == priority, d.delivery_id.not_in([r["delivery_id"] for r in rows]), *due
        )
        more = more.order_by(d.next_attempt_at).limit(limit).with_for_update(skip_locked=True)
        found = await rows_of(work, more)
        rows += found
        rest -= len(found)
        rest_other -= len(found) if priority > URGENT else 0
    return rows


async def _resendable(work: UnitOfWork, provider: Channel, rows: Sequence[Row]) -> list[Row]:
    """A message whose sender died may be out: it goes again only where the provider would notice the repetition."""
    ready: list[Row] = []
    for row in rows:
        if row["state"] != "sending":
            ready.append(row)
            continue
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
    if not reachable:
        return []
    d = delivery.c
    take = update(delivery).where(d.delivery_id.in_([r["delivery_id"] for r in reachable]))
    values: dict[str, Any] = {
        "state": "sending", "attempts": d.attempts + 1, "next_attempt_at": work.now + LEASE, "provider": provider.name,
    }  # fmt: skip
    await work.db.execute(take.values(**values))
    for row in reachable:
        if row["state"] == "sending" and row["doubtful_since"] is not None:
            mark = update(delivery).where(d.delivery_id == row["delivery_id"])
            await work.db.execute(mark.values(doubtful_since=row["doubtful_since"]))
    places = await places_by_delivery(work, [r["delivery_id"] for r in reachable])
    await texts_in_force(work)
    key = link_key()
    return [
        Claimed(
            number=row["attempts"] + 1, template_id=template_of(row["event_class"]),
            message=outgoing(work, row, address=known[row["person_id"]], places=places, link_key=key),
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
