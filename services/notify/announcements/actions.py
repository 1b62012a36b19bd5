"""Written by one, approved by a leader with the list frozen, sent at its hour, recalled only before, reminded once."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import insert, select, update

from services.kernel.auth.grants import visible
from services.kernel.errors import Conflict, InvalidInput, NotFound, SelfApproval
from services.kernel.work import UnitOfWork
from services.notify.announcements.audience import Audience, people
from services.notify.delivery.happenings import Happening, tell
from services.notify.delivery.outcomes import opened
from services.notify.tables import announced_to, announcement, delivery
from services.notify.templates.checks import marketing_in

MOST_PEOPLE = 20_000
FIELD = "announcement_key"


async def write(
    work: UnitOfWork, *, kind: str, headline: str, text: str, audience: Audience, send_at: datetime,
    remind_at: datetime | None,
) -> dict[str, Any]:  # fmt: skip
    if remind_at is not None and remind_at <= send_at:
        raise InvalidInput(
            zh="提醒时间须晚于发送时间。", en="The reminder must come after the sending.", field="remind_at"
        )
    for field, words in (("headline", marketing_in(headline)), ("text", marketing_in(text))):
        if words:
            raise InvalidInput(
                zh=f"含营销用语“{'、'.join(words)}”；通知只能是服务通知，请改写。",
                en=f"{', '.join(words)}: marketing; an announcement is a service notice, reword it.", field=field,
            )  # fmt: skip
    row: dict[str, Any] = {
        "announcement_key": work.new_id("announcement"), "kind": kind, "headline": headline, "text": text,
        "audience": audience.model_dump(mode="json"), "state": "draft", "send_at": send_at, "remind_at": remind_at,
        "author": work.actor.person_id, "written_at": work.now, "approved_by": None, "approved_at": None,
        "recalled_by": None, "sent_at": None, "reminded_at": None,
    }  # fmt: skip
    await work.db.execute(insert(announcement).values(**row))
    await _audit(work, "announcement-written", row)
    return row


async def approve(work: UnitOfWork, *, key: UUID) -> tuple[dict[str, Any], int]:
    """Freezes the list as the approver's scope draws it now. Raises `SelfApproval`, `Conflict`, `InvalidInput`."""
    row = await _locked(work, key, state="draft")
    if row["author"] == work.actor.person_id:
        raise SelfApproval(
            zh="通知须由撰写人以外的领导批准。",
            en="A leader other than its author approves an announcement.",
            field=FIELD,
        )
    listed = await people(work, audience=Audience.model_validate(row["audience"]))
    if not 0 < len(listed) <= MOST_PEOPLE:
        raise InvalidInput(
            zh=f"受众为 {len(listed)} 人，须在 1 至 {MOST_PEOPLE} 人之间，请调整筛选条件。",
            en=f"{len(listed)} people; an announcement has 1 to {MOST_PEOPLE}: change the filter.", field="audience",
        )  # fmt: skip
    rows = [{"announcement_key": key, "person_id": p, "customer_id": c} for p, c in sorted(listed.items())]
    await work.db.execute(insert(announced_to), rows)
    approved = {"state": "approved", "approved_by": work.actor.person_id, "approved_at": work.now}
    await _change(work, row, "announcement-approved", approved)
    return {**row, **approved}, len(rows)


async def recall(work: UnitOfWork, *, key: UUID) -> dict[str, Any]:
    """Only before it is sent: what people have read cannot be unread."""
    row = await _locked(work, key, state=None)
    if row["state"] not in ("draft", "approved"):
        raise Conflict(
            zh="通知已发送或已撤回，不能再撤回；请另发更正通知。",
            en="It was sent or recalled before; write a correcting announcement.", field=FIELD,
        )  # fmt: skip
    recalled = {"state": "recalled", "recalled_by": work.actor.person_id}
    await _change(work, row, "announcement-recalled", recalled)
    return {**row, **recalled}


async def send_due(work: UnitOfWork) -> int:
    """Of the job: approved ones whose hour has come, to the frozen list and nobody else."""
    a = announcement.c
    due = select(announcement).where(a.state == "approved", a.send_at <= work.now).with_for_update(skip_locked=True)
    rows = [dict(r) for r in (await work.db.execute(due)).mappings()]
    for row in rows:
        await _tell(work, row, event_class="announcement", listed=await _listed(work, row["announcement_key"]))
        await _change(work, row, "announcement-sent", {"state": "sent", "sent_at": work.now})
    return len(rows)


async def remind_due(work: UnitOfWork) -> int:
    """Of the job: once, those of the list who have neither opened nor acknowledged it."""
    a = announcement.c
    due = select(announcement).where(a.state == "sent", a.remind_at <= work.now, a.reminded_at.is_(None))
    rows = [dict(r) for r in (await work.db.execute(due.with_for_update(skip_locked=True))).mappings()]
    for row in rows:
        key = row["announcement_key"]
        read = await readers(work, key=key)
        unread = {p: c for p, c in (await _listed(work, key)).items() if p not in read}
        if unread:
            await _tell(work, row, event_class="announcement-reminder", listed=unread)
        await _change(work, row, "announcement-reminded", {"reminded_at": work.now})
    return len(rows)


async def readers(work: UnitOfWork, *, key: UUID) -> dict[str, datetime]:
    """Person -> when they first opened or acknowledged it, on whichever channel."""
    d = delivery.c
    query = select(d.person_id, d.opened_at, d.acknowledged_at).where(
        d.subject_id == str(key), d.event_class.in_(("announcement", "announcement-reminder")),
        visible(d.customer_id, work=work),
    )  # fmt: skip
    read: dict[str, datetime] = {}
    for person, opened_at, acknowledged_at in await work.db.execute(query):
        for at in filter(None, (opened_at, acknowledged_at)):
            read[person] = min(at, read.get(person, at))
    return read


async def mark_read(work: UnitOfWork, *, key: UUID) -> None:
    """The signed-in person read it in the inbox."""
    d = delivery.c
    mine = select(delivery).where(
        d.subject_id == str(key), d.event_class.in_(("announcement", "announcement-reminder")),
        d.person_id == work.actor.person_id, visible(d.customer_id, work=work),
    )  # fmt: skip
    rows = (await work.db.execute(mine.with_for_update())).mappings().all()
    if not rows:
        raise NotFound(what_zh="通知", what_en="announcement", field=FIELD)
    for row in rows:
        await opened(work, row=dict(row))
    await work.audit(action="announcement-read", object_type="announcement", object_id=str(key))


async def row_of(work: UnitOfWork, *, key: UUID) -> dict[str, Any]:
    """Its text is no secret inside the company; whom it reaches is shown within the caller's scope only."""
    row = (await work.db.execute(select(announcement).where(announcement.c.announcement_key == key))).mappings().first()
    if row is None:
        raise NotFound(what_zh="通知", what_en="announcement", field=FIELD)
    return dict(row)


async def _listed(work: UnitOfWork, key: UUID) -> dict[str, str]:
    query = select(announced_to.c.person_id, announced_to.c.customer_id).where(announced_to.c.announcement_key == key)
    return {row.person_id: row.customer_id for row in await work.db.execute(query)}


async def _tell(work: UnitOfWork, row: Mapping[str, Any], *, event_class: str, listed: Mapping[str, str]) -> None:
    at = row["sent_at"] or work.now
    await tell(
        work,
        happening=Happening(
            event_class=event_class, subject_id=str(row["announcement_key"]), customers=frozenset(), people=listed,
            event_at=work.now, facts={"headline": row["headline"], "text": row["text"], "at": at.isoformat()},
        ),
    )  # fmt: skip


async def _locked(work: UnitOfWork, key: UUID, *, state: str | None) -> dict[str, Any]:
    query = select(announcement).where(announcement.c.announcement_key == key).with_for_update()
    row = (await work.db.execute(query)).mappings().first()
    if row is None:
        raise NotFound(what_zh="通知", what_en="announcement", field=FIELD)
    if state is not None and row["state"] != state:
        raise Conflict(
            zh=f"通知当前为 {row['state']}，不能执行该操作。",
            en=f"It is {row['state']}; this needs {state}.",
            field=FIELD,
        )
    return dict(row)


async def _change(work: UnitOfWork, row: Mapping[str, Any], action: str, values: dict[str, Any]) -> None:
    mine = announcement.c.announcement_key == row["announcement_key"]
    await work.db.execute(update(announcement).where(mine).values(**values))
    await _audit(work, action, {**row, **values})


async def _audit(work: UnitOfWork, action: str, row: Mapping[str, Any]) -> None:
    key = str(row["announcement_key"])
    await work.audit(action=action, object_type="announcement", object_id=key, after=dict(row))
