"""A person is forgotten: their key is destroyed, what is not under it is deleted, proofs keep a pseudonym."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Table, delete, func, or_, select, update

from services.contracts.marketing import PersonChanged
from services.contracts.notify import EngagementsChanged
from services.kernel.auth.grants import replace_grants
from services.kernel.errors import Conflict
from services.kernel.work import UnitOfWork
from services.notify.directory.vault import vault
from services.notify.tables import (
    announced_to,
    contact,
    conversation,
    conversation_message,
    delivery,
    engagement,
    holding,
    leave,
    notice_proof,
    person,
    preference,
    privacy_request,
    quiet_hours,
    ticket,
    wechat_invitation,
)
from services.notify.wechat import users

ERASED_WORDS = "（已应本人要求删除 erased at the person's request）"


class StillInOffice(Conflict):
    code = "person-holds-a-post"

    def __init__(self) -> None:
        super().__init__(
            zh="该人员仍在岗：请先办理离岗或交接，再申请删除。",
            en="This person still holds a post; end or hand it over before asking for erasure.",
            field="person_id",
        )


def pseudonym(person_id: str) -> str:
    """The same for the same person, and nobody's without the master key."""
    return f"gone-{vault().blind_index(kind='person', value=person_id).hex()[:48]}"


async def refuse_in_office(work: UnitOfWork, *, person_id: str) -> None:
    """Raises `StillInOffice`."""
    h = holding.c
    held = select(h.post_id).where(
        h.person_id == person_id, or_(h.valid_to.is_(None), h.valid_to > work.now)
    )  # fmt: skip
    if (await work.db.execute(held.limit(1))).first() is not None:
        raise StillInOffice


async def erase(work: UnitOfWork, *, person_id: str) -> None:
    """Runs as the worker. A second time changes nothing."""
    for openid in await _openids(work, person_id):
        await users.forget(work, openid=openid)
    for table in (preference, quiet_hours, leave, wechat_invitation, engagement, contact):
        await work.db.execute(delete(table).where(table.c.person_id == person_id))
    gone = pseudonym(person_id)
    for table in (delivery, notice_proof, announced_to, holding, privacy_request):
        values: dict[str, object] = {"person_id": gone}
        if table is notice_proof:
            values["words"] = ""
        if table is privacy_request:
            values["words_cipher"] = None
        await work.db.execute(update(table).where(table.c.person_id == person_id).values(**values))
    await _forget_talks(work, person_id, gone)
    said = update(ticket).where(ticket.c.opened_by == person_id)
    await work.db.execute(said.values(words=ERASED_WORDS, opened_by=gone))
    await work.db.execute(delete(person).where(person.c.person_id == person_id))
    await replace_grants(work, origin=f"person:{person_id}", grants=[])
    await _forget_letters(work, person_id)
    # Compaction then removes what the topics still hold, and the other services forget their access.
    work.emit_deletion(PersonChanged, aggregate_id=person_id)
    work.emit_deletion(EngagementsChanged, aggregate_id=person_id)
    await work.audit(action="person-erased", object_type="person", object_id=gone)


async def _forget_talks(work: UnitOfWork, person_id: str, gone: str) -> None:
    """That somebody asked and was answered stays, as every proof does; what was said goes, on both sides."""
    m, c = conversation_message.c, conversation.c
    unsaid = {"text_cipher": None, "content_cipher": None, "person_id": gone}
    await work.db.execute(update(conversation_message).where(m.person_id == person_id).values(**unsaid))
    await work.db.execute(update(conversation_message).where(m.author_id == person_id).values(author_id=gone))
    for column in (c.person_id, c.opened_by):
        await work.db.execute(update(conversation).where(column == person_id).values({column.name: gone}))


async def _openids(work: UnitOfWork, person_id: str) -> list[str]:
    row = (await work.db.execute(select(person.c.wrapped_key).where(person.c.person_id == person_id))).first()
    if row is None:
        return []
    key = vault().unwrap(row.wrapped_key, person_id=person_id)
    query = select(contact.c.value_cipher).where(contact.c.person_id == person_id, contact.c.kind == "wechat")
    return [key.open(cipher, field="wechat") for cipher in (await work.db.execute(query)).scalars()]


async def _forget_letters(work: UnitOfWork, person_id: str) -> None:
    """What the archive said of the person, wherever it waits, failed or was passed on."""
    kernel = work.tables
    keys = [event.key_of(person_id) for event in (PersonChanged, EngagementsChanged)]
    topics = (PersonChanged.TOPIC, EngagementsChanged.TOPIC)
    box = kernel.outbox.c
    await work.db.execute(delete(kernel.outbox).where(box.topic.in_(topics), box.aggregateid.in_(keys)))
    for table in (kernel.dead_letter, kernel.waiting):
        await work.db.execute(delete(table).where(table.c.topic.in_(topics), _named(table, keys, person_id)))
    answers = kernel.idempotency_key
    mine = or_(answers.c.person_id == person_id, _holds(answers, person_id))
    await work.db.execute(delete(answers).where(mine))


def _named(table: Table, keys: Sequence[str], person_id: str) -> ColumnElement[bool]:
    return or_(table.c.record_key.in_([k.encode() for k in keys]), _holds(table, person_id))


def _holds(table: Table, person_id: str) -> ColumnElement[bool]:
    """Also a record without a readable key; a whole identifier, so that P-1 is not found in P-11."""
    return func.strpos(func.encode(table.c.body, "escape"), f'"{person_id}"') > 0
