"""What moves a conversation: a question, an answer, a hand-over, its close, the customer's word on it, a ticket.

Actions only note what has to be told; the watch tells it, so that no request waits for planning.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert as upsert

from services.kernel.auth.grants import visible
from services.kernel.errors import Conflict, InvalidInput, NotFound
from services.kernel.work import UnitOfWork
from services.notify import tickets
from services.notify.adapters.wechat.messages import MAX_TEXT_BYTES
from services.notify.conversation import clock, events_out, receipt, words
from services.notify.conversation.responsible import ANSWERING, holders
from services.notify.delivery.steps import withdraw_pushes
from services.notify.tables import conversation

Topic = Literal["fault", "bill", "score-query", "hazard", "other"]
TICKET_KIND: dict[str, str] = {
    "fault": "fault-repair", "bill": "consultation", "score-query": "opinion", "hazard": "consultation",
    "other": "consultation",
}  # fmt: skip
RECEIPT_AGAIN = timedelta(minutes=30)
"""A question this soon after an answer belongs to the talk under way and needs no receipt; proposal of the house."""
WAITING = "conversation-waiting"
_c = conversation.c


@dataclass(frozen=True, kw_only=True)
class Heard:
    """`due_at` is the promised time of the first reply, `manager` who gives it (empty: nobody is named)."""

    conversation_id: UUID
    message_id: UUID
    manager: str
    due_at: datetime | None


async def hear(
    work: UnitOfWork, *, customer_id: str, topic: str, person_id: str, channel: str, kind: str = "text",
    said: str = "", **more: Any,
) -> Heard:  # fmt: skip
    """A customer's person says something: into the open thread of the topic, or into a new one."""
    row = await _thread(work, customer_id=customer_id, topic=topic, person_id=person_id, channel=channel)
    message_id = await words.write(
        work, conversation_id=row.conversation_id, customer_id=customer_id, person_id=person_id, purpose="heard",
        words=said, kind=kind, author_id=person_id, channel=channel, told_at=work.now, **more,
    )  # fmt: skip
    await clock.change(work, row.conversation_id, {"person_id": person_id, "channel": channel})
    await _audit(work, "conversation-asked", row)
    if row.waiting_since is not None:
        manager = await words.name_of(work, person_id=row.owner_id)
        return Heard(
            conversation_id=row.conversation_id, message_id=message_id, manager=manager, due_at=row.due_at
        )  # fmt: skip
    begun = await clock.start(work, row=row)
    manager = await words.name_of(work, person_id=begun["owner_id"])
    if row.answered_at is None or work.now - row.answered_at > RECEIPT_AGAIN:
        text = await receipt.text(work, row=row, person_id=person_id, manager=manager, due_at=begun["due_at"])
        await words.write(
            work, conversation_id=row.conversation_id, customer_id=customer_id, person_id=person_id,
            purpose="receipt", words=text, kind="receipt", author_id="system:notify", channel=channel,
            # Over our own pages the answer to the request is the receipt.
            told_at=None if channel == "wechat" else work.now,
        )  # fmt: skip
    return Heard(
        conversation_id=row.conversation_id, message_id=message_id, manager=manager, due_at=begun["due_at"]
    )  # fmt: skip


async def answer(work: UnitOfWork, *, conversation_id: UUID, said: str) -> UUID:
    """Goes by the first open way to the person who asked; ends the clock. Raises `NotFound`, `Conflict`."""
    if len(said.encode()) > MAX_TEXT_BYTES:
        raise InvalidInput(
            zh=f"超过 {MAX_TEXT_BYTES} 字节，请分开发送。", en=f"Over {MAX_TEXT_BYTES} bytes; send it in parts.",
            field="text",
        )  # fmt: skip
    row = await locked(work, conversation_id=conversation_id)
    _require_open(row)
    message_id = await words.write(
        work, conversation_id=conversation_id, customer_id=row.customer_id, person_id=row.person_id,
        purpose="answer", words=said, kind="answer", author_id=work.actor.person_id, channel=row.channel,
    )  # fmt: skip
    if row.waiting_since is not None:
        await _end_wait(work, row)
    await _audit(work, "conversation-answered", row)
    return message_id


async def _end_wait(work: UnitOfWork, row: Any) -> None:
    within = await clock.stop(work, row=row)
    await withdraw_pushes(work, event_class=WAITING, subject_id=str(row.conversation_id), why="answered")
    events_out.answered(work, row=row, within_promise=within)


async def note_reply(work: UnitOfWork, *, person_id: str, said: str) -> None:
    """What staff wrote straight to the person's WeChat answers the question that waits there longest."""
    query = select(conversation).where(
        _c.person_id == person_id, _c.waiting_since.is_not(None), visible(_c.customer_id, work=work)
    )
    row = (await work.db.execute(query.order_by(_c.waiting_since).limit(1).with_for_update())).first()
    if row is None:
        return
    await words.write(
        work, conversation_id=row.conversation_id, customer_id=row.customer_id, person_id=person_id,
        purpose="reply", words=said, kind="answer", author_id=work.actor.person_id, channel="wechat",
        told_at=work.now,
    )  # fmt: skip
    await _end_wait(work, row)


async def hand_over(work: UnitOfWork, *, conversation_id: UUID, to_person_id: str) -> None:
    """The clock is kept. Raises `InvalidInput` for somebody who could not answer."""
    row = await locked(work, conversation_id=conversation_id)
    _require_open(row)
    able = [p for role in ANSWERING for p in await holders(work, customer_id=row.customer_id, role=role)]
    if to_person_id not in able:
        raise InvalidInput(
            zh="对方不是该户在岗的客户经理、班长或坐席，无法接手。",
            en="Not an account manager, team leader or desk of this customer who is there now.", field="to_person_id",
        )  # fmt: skip
    waits = row.waiting_since is not None
    values: dict[str, Any] = {"owner_id": to_person_id, "by_hand": True}
    if waits:
        values |= {"asked_ids": [to_person_id], "tell_due": True}
    await clock.change(work, conversation_id, values)
    await _audit(work, "conversation-handed-over", row, after=values)


async def close(work: UnitOfWork, *, conversation_id: UUID) -> None:
    """Asks the person whether it is solved. Raises `Conflict` while a question waits."""
    row = await locked(work, conversation_id=conversation_id)
    _require_open(row)
    if row.waiting_since is not None:
        raise Conflict(
            zh="客户还在等待答复，请先答复再办结。", en="The customer still waits for an answer; answer first.",
            field="conversation_id",
        )  # fmt: skip
    values = {"state": "closed", "closed_at": work.now, "closed_by": work.actor.person_id}
    await clock.change(work, conversation_id, values)
    await words.write(
        work, conversation_id=conversation_id, customer_id=row.customer_id, person_id=row.person_id, purpose="rating",
        words=await receipt.question(work, person_id=row.person_id), kind="rating", author_id="system:notify",
        channel=row.channel,
    )  # fmt: skip
    events_out.closed(work, row=row)
    await _audit(work, "conversation-closed", row, after=values)


async def rate(work: UnitOfWork, *, conversation_id: UUID, satisfied: bool) -> None:
    """The customer's word, once. Unresolved: a ticket, and the thread waits for an answer again."""
    row = await locked(work, conversation_id=conversation_id)
    if row.state != "closed" or row.outcome is not None:
        raise Conflict(
            zh="该会话尚未办结或已评价。", en="This conversation is not closed, or was rated already.",
            field="conversation_id",
        )  # fmt: skip
    await clock.change(work, conversation_id, {"outcome": "satisfied" if satisfied else "unresolved"})
    if not satisfied:
        await ticket(work, row=row)
        other = select(_c.conversation_id).where(
            _c.customer_id == row.customer_id, _c.topic == row.topic, _c.state == "open"
        )
        if (await work.db.execute(other)).first() is None:
            await clock.change(work, conversation_id, {"state": "open", "closed_at": None, "closed_by": None})
            await clock.start(work, row=row)
    await _audit(work, "conversation-rated", row, after={"satisfied": satisfied})


async def ask_for_ticket(work: UnitOfWork, *, conversation_id: UUID) -> UUID:
    """By the customer or by staff; one per conversation."""
    row = await locked(work, conversation_id=conversation_id)
    return await ticket(work, row=row)


async def ticket(work: UnitOfWork, *, row: Any) -> UUID:
    """The conversation's ticket, opened now if there is none: its words name the thread and never what was said."""
    if row.ticket_id is not None:
        return UUID(str(row.ticket_id))
    opened = await tickets.open_for_conversation(
        work, conversation_id=row.conversation_id, customer_id=row.customer_id, kind=TICKET_KIND[row.topic],
        channel=row.channel,
    )  # fmt: skip
    await clock.change(work, row.conversation_id, {"ticket_id": opened})
    return opened


async def locked(work: UnitOfWork, *, conversation_id: UUID) -> Any:
    """Raises `NotFound`, also outside the caller's scope."""
    query = select(conversation).where(_c.conversation_id == conversation_id, visible(_c.customer_id, work=work))
    row = (await work.db.execute(query.with_for_update())).first()
    if row is None:
        raise NotFound(what_zh="会话", what_en="conversation", field="conversation_id")
    return row


def _require_open(row: Any) -> None:
    if row.state != "open":
        raise Conflict(zh="该会话已办结。", en="This conversation is closed.", field="conversation_id")


async def _thread(work: UnitOfWork, *, customer_id: str, topic: str, person_id: str, channel: str) -> Any:
    """The open thread, locked; opened now if there is none."""
    row = {
        "conversation_id": work.new_id(f"conversation|{customer_id}|{topic}"), "customer_id": customer_id,
        "topic": topic, "state": "open", "opened_at": work.now, "opened_by": person_id, "person_id": person_id,
        "channel": channel,
    }  # fmt: skip
    there = upsert(conversation).values(**row).on_conflict_do_nothing()
    is_new = (await work.db.execute(there.returning(_c.conversation_id))).first() is not None
    query = select(conversation).where(_c.customer_id == customer_id, _c.topic == topic, _c.state == "open")
    found = (await work.db.execute(query.with_for_update())).one()
    if is_new:
        events_out.opened(work, row=found)
        await _audit(work, "conversation-opened", found)
    return found


async def _audit(work: UnitOfWork, action: str, row: Any, after: Any = None) -> None:
    await work.audit(
        action=action, object_type="conversation", object_id=str(row.conversation_id), owner_id=row.customer_id,
        after=after,
    )  # fmt: skip
