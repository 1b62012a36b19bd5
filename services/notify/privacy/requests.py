"""Requests of people about their data, and their answers: a copy at once, a correction by hand, erasure by the job."""

from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, exists, insert, select, true, update

from services.kernel.auth.grants import visible
from services.kernel.errors import NotFound
from services.kernel.jobs import JobRun
from services.kernel.work import UnitOfWork
from services.notify.conversation.queries import talks_with
from services.notify.directory.persons import key_of
from services.notify.privacy import erasure, schemas
from services.notify.privacy.fields import personal_data
from services.notify.tables import contact, delivery, engagement, metadata, preference, privacy_request
from services.notify.tables import person as person_table
from services.notify.wechat import replies

ANSWER_WITHIN = timedelta(days=15)
"""How soon a person is answered. PIPL article 50 says "in time" only; needs_verification by the legal department."""
_MOST_COPIED = 1_000
_r = privacy_request.c


async def ask(work: UnitOfWork, *, person_id: str, body: schemas.RequestIn) -> schemas.Request:
    """Raises `NotFound`, and `StillInOffice` for the erasure of who holds a post."""
    key = await key_of(work, person_id=person_id)
    if body.kind == "erasure":
        await erasure.refuse_in_office(work, person_id=person_id)
    row: dict[str, Any] = {
        "request_id": work.new_id("privacy-request"), "person_id": person_id, "kind": body.kind,
        "words_cipher": None if body.words is None else key.seal(body.words, field="request"),
        "asked_by": work.actor.person_id, "asked_at": work.now, "due_at": work.now + ANSWER_WITHIN,
    }  # fmt: skip
    await work.db.execute(insert(privacy_request).values(**row))
    await work.audit(action=f"privacy-{body.kind}-asked", object_type="person", object_id=person_id)
    return schemas.Request(request_id=row["request_id"], kind=body.kind, asked_at=work.now, due_at=row["due_at"])


async def copy_of(work: UnitOfWork, *, person_id: str) -> schemas.PersonalCopy:
    """All that notify knows of the person, with what it is for. Raises `NotFound`."""
    row = (await work.db.execute(select(person_table).where(person_table.c.person_id == person_id))).first()
    if row is None:
        raise NotFound(what_zh="人员", what_en="person", field="person_id")
    key = await key_of(work, person_id=person_id)
    c = contact.c
    contacts = [
        schemas.CopiedContact(kind=r.kind, source=r.source, value=key.open(r.value_cipher, field=r.kind),
                              said_at=r.said_at, confirmed_at=r.confirmed_at)
        for r in await work.db.execute(select(contact).where(c.person_id == person_id).order_by(c.kind, c.source))
    ]  # fmt: skip
    conversation = await replies.conversation(work, person_id=person_id, limit=_MOST_COPIED)
    await work.audit(action="privacy-copied", object_type="person", object_id=person_id)
    return schemas.PersonalCopy(
        person_id=person_id, name=key.open(row.name_cipher, field="name"), language=row.language, contacts=contacts,
        engagements=await _rows(work, engagement, person_id), preferences=await _rows(work, preference, person_id),
        messages=await _messages(work, person_id), conversation=conversation.messages,
        talks=await talks_with(work, person_id=person_id, limit=_MOST_COPIED),
        purposes=[
            schemas.Purpose.model_validate(f.model_dump(include=set(schemas.Purpose.model_fields)))
            for f in personal_data().fields
        ],
    )  # fmt: skip


async def open_requests(work: UnitOfWork, *, limit: int) -> schemas.Requests:
    query = select(privacy_request).where(_r.done_at.is_(None), _in_reach(work)).order_by(_r.due_at).limit(limit)
    return schemas.Requests(
        items=[
            schemas.OpenRequest(request_id=r.request_id, person_id=r.person_id, kind=r.kind, asked_at=r.asked_at,
                                due_at=r.due_at, overdue=r.due_at < work.now)
            for r in await work.db.execute(query)
        ]
    )  # fmt: skip


def _in_reach(work: UnitOfWork) -> ColumnElement[bool]:
    """As `queries.require_person`: through one of the person's customers; who sees everything reaches everybody."""
    if work.scope.everything:
        return true()
    e = engagement.c
    return exists().where(e.person_id == _r.person_id, visible(e.customer_id, work=work))


async def settle(work: UnitOfWork, *, request_id: Any) -> None:
    """A correction or copy was given; an erasure settles itself. Raises `NotFound`."""
    where = (_r.request_id == request_id, _r.done_at.is_(None), _r.kind != "erasure", _in_reach(work))
    done = update(privacy_request).where(*where).values(done_at=work.now, done_by=work.actor.person_id)
    if (await work.db.execute(done.returning(_r.request_id))).first() is None:
        raise NotFound(what_zh="待办请求", what_en="open request", field="request_id")
    await work.audit(action="privacy-settled", object_type="privacy-request", object_id=str(request_id))


async def erase_due(run: JobRun) -> None:
    """Each person in a transaction of their own."""
    async with run.chunk("look") as work:
        query = select(_r.request_id, _r.person_id).where(_r.kind == "erasure", _r.done_at.is_(None))
        due = list(await work.db.execute(query.order_by(_r.asked_at).limit(100)))
    for row in due:
        async with run.chunk(f"erase|{row.request_id}", task=str(row.request_id)) as work:
            await erasure.erase(work, person_id=row.person_id)
            done = update(privacy_request).where(_r.request_id == row.request_id)
            await work.db.execute(done.values(done_at=work.now, done_by="system:notify"))


async def keep_no_longer(run: JobRun) -> None:
    """Delete what has been kept as long as the table of personal data says."""
    for rule in personal_data().retention:
        table = metadata.tables[f"notify.{rule.table}"]
        async with run.chunk(f"retention|{rule.table}") as work:
            old = table.c[rule.column] < work.now - timedelta(days=rule.days)
            await work.db.execute(table.delete().where(old))


async def _rows(work: UnitOfWork, table: Any, person_id: str) -> list[dict[str, Any]]:
    rows = (await work.db.execute(select(table).where(table.c.person_id == person_id).limit(_MOST_COPIED))).mappings()
    return [dict(r) for r in rows]


async def _messages(work: UnitOfWork, person_id: str) -> list[dict[str, Any]]:
    d = delivery.c
    shown = (d.event_class, d.subject_id, d.channel, d.state, d.created_at, d.opened_at, d.acknowledged_at)
    query = select(*shown).where(d.person_id == person_id).order_by(d.created_at.desc()).limit(_MOST_COPIED)
    return [dict(r) for r in (await work.db.execute(query)).mappings()]
