"""What time and the rows ask for: messages to customers and staff, the next level, a new manager, the gauges."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import and_, exists, func, or_, select, update

from services.kernel.jobs import JobRun
from services.kernel.work import UnitOfWork
from services.notify import metrics
from services.notify.conversation import clock, events_out, responsible, threads
from services.notify.conversation.promise import times_for
from services.notify.conversation.words import HOUSE
from services.notify.delivery.happenings import Happening, tell
from services.notify.directory.working_time import is_working_day
from services.notify.rules import reply_clock
from services.notify.rules.reply_clock import Level
from services.notify.tables import conversation, conversation_message, leave

AT_ONCE = 200
TOPICS = tuple(threads.TICKET_KIND)
_CLASS_OF = {
    "answer": "conversation-answer", "receipt": "conversation-receipt", "rating": "conversation-rating",
}  # fmt: skip
_c, _m = conversation.c, conversation_message.c


async def watch(run: JobRun) -> None:
    """Every second: nothing said waits longer for its message, no level is asked later."""
    async with run.chunk("look") as work:
        await responsible.take_back(work)
        await _count(work)
        if not await _anything(work):
            return
    for name, step in (("climb", climb), ("move", move), ("staff", tell_staff), ("customer", tell_customers)):
        async with run.chunk(name) as work:
            await step(work)


async def climb(work: UnitOfWork) -> None:
    """The promise breaks once per question, which makes a ticket; each level is asked once."""
    broken = and_(_c.due_at <= work.now, _c.breached_at.is_(None))
    due = select(conversation).where(_c.waiting_since.is_not(None), or_(_c.next_step_at <= work.now, broken))
    rows = await work.db.execute(due.order_by(_c.due_at).limit(AT_ONCE).with_for_update(skip_locked=True))
    for row in rows.all():
        if row.breached_at is None and row.due_at <= work.now:
            await _break(work, row)
        if row.next_step_at is not None and row.next_step_at <= work.now:
            await _ask_next(work, row)


async def _break(work: UnitOfWork, row: Any) -> None:
    await clock.change(work, row.conversation_id, {"breached_at": work.now})
    metrics.SLA_BREACHES.labels(row.topic).inc()
    await threads.ticket(work, row=row)


async def _ask_next(work: UnitOfWork, row: Any) -> None:
    times = await times_for(work, customer_id=row.customer_id)
    reached = reply_clock.level_at(row.waiting_since, work.now, times=times, works_on=is_working_day)
    level, people = await responsible.asked_at(
        work, customer_id=row.customer_id, owner_id=row.owner_id, level=max(reached, row.level + 1), but=row.asked_ids
    )
    values: dict[str, Any] = {"level": level, "next_step_at": clock.step_after(row.waiting_since, level, times=times)}
    if people:
        values |= {"asked_ids": people, "tell_due": True}
    if level == Level.DEPUTY:
        await responsible.lend(
            work, conversation_id=row.conversation_id, customer_id=row.customer_id, owner_id=row.owner_id,
            people=people,
        )  # fmt: skip
    await clock.change(work, row.conversation_id, values)
    events_out.escalated(work, row=row, level=level)


async def move(work: UnitOfWork) -> None:
    """Who is to answer went on leave, gave the post away, or is there at last: the question moves, its clock stays."""
    g, now = work.tables.access_grant.c, work.now
    away = exists().where(leave.c.person_id == _c.owner_id, leave.c.starts_at <= now, leave.c.ends_at > now)
    holds = exists().where(
        g.person_id == _c.owner_id, g.role == responsible.MANAGER, g.valid_from <= now,
        or_(g.valid_to.is_(None), g.valid_to > now),
    )  # fmt: skip
    lost = select(conversation).where(
        _c.waiting_since.is_not(None), or_(_c.owner_id.is_(None), away, and_(~_c.by_hand, ~holds))
    )
    rows = await work.db.execute(lost.order_by(_c.waiting_since).limit(AT_ONCE).with_for_update(skip_locked=True))
    for row in rows.all():
        owner_id = await responsible.owner_of(work, customer_id=row.customer_id)
        if owner_id is not None and owner_id != row.owner_id:
            asked = [owner_id] if row.level == Level.MANAGER else [*row.asked_ids, owner_id]
            values = {"owner_id": owner_id, "by_hand": False, "asked_ids": asked, "tell_due": True}
            await clock.change(work, row.conversation_id, values)
            await work.audit(
                action="conversation-moved", object_type="conversation", object_id=str(row.conversation_id),
                owner_id=row.customer_id, after=values,
            )  # fmt: skip


async def tell_staff(work: UnitOfWork) -> None:
    due = select(conversation).where(_c.tell_due).order_by(_c.waiting_since).limit(AT_ONCE)
    for row in (await work.db.execute(due.with_for_update(skip_locked=True))).all():
        await tell(
            work,
            happening=Happening(
                event_class=threads.WAITING, subject_id=str(row.conversation_id), customers=frozenset(),
                occasion=f"{row.waiting_since.isoformat()}|{row.level}", event_at=work.now,
                people=dict.fromkeys(row.asked_ids, row.customer_id),
                facts={
                    "topic": row.topic, "level": str(row.level), "since": row.waiting_since.isoformat(),
                    "until": row.due_at.isoformat(),
                },
            ),
        )  # fmt: skip
        await clock.change(work, row.conversation_id, {"tell_due": False})


async def tell_customers(work: UnitOfWork) -> None:
    """The words stay where they are; the channel that may carry them opens them when it sends."""
    due = (
        select(conversation_message, _c.topic, _c.due_at, _c.person_id.label("asker_id"))
        .join_from(conversation_message, conversation)
        .where(_m.told_at.is_(None)).order_by(_m.said_at).limit(AT_ONCE)
        .with_for_update(skip_locked=True, of=conversation_message)
    )  # fmt: skip
    rows = (await work.db.execute(due)).all()
    for row in rows:
        facts = _facts(row)
        if facts is None:
            continue
        person_id = row.asker_id if row.person_id == HOUSE else row.person_id
        await tell(
            work,
            happening=Happening(
                event_class=_CLASS_OF[row.kind], subject_id=str(row.conversation_id), customers=frozenset(),
                occasion=str(row.message_id), people={person_id: row.customer_id}, event_at=row.said_at,
                facts={**facts, "message_id": str(row.message_id)},
            ),
        )  # fmt: skip
    told = update(conversation_message).where(_m.message_id.in_([r.message_id for r in rows]))
    await work.db.execute(told.values(told_at=work.now))


def _facts(row: Any) -> Mapping[str, Any] | None:
    """None for a receipt that the answer has overtaken."""
    if row.kind == "receipt":
        return None if row.due_at is None else {"topic": row.topic, "until": row.due_at.isoformat()}
    return {"topic": row.topic, "at": row.said_at.isoformat()}


async def _anything(work: UnitOfWork) -> bool:
    questions = exists().where(or_(_c.waiting_since.is_not(None), _c.tell_due))
    return bool((await work.db.execute(select(or_(questions, exists().where(_m.told_at.is_(None)))))).scalar_one())


async def _count(work: UnitOfWork) -> None:
    query = select(_c.topic, func.count().label("open")).where(_c.state == "open").group_by(_c.topic)
    found = {row.topic: row.open for row in await work.db.execute(query)}
    for topic in TOPICS:
        metrics.CONVERSATIONS_OPEN.labels(topic).set(found.get(topic, 0))
    overdue = select(func.count()).where(_c.waiting_since.is_not(None), _c.due_at < work.now)
    metrics.CONVERSATIONS_OVERDUE.set((await work.db.execute(overdue)).scalar_one())
