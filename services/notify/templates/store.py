"""The wordings in force: the newest confirmed version of each class, channel and language over what is shipped."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import func, insert, select, text, update
from sqlalchemy.dialects.postgresql import distinct_on

from services.kernel.errors import Conflict, InvalidInput, NotFound, SelfApproval
from services.kernel.work import UnitOfWork
from services.notify.tables import template_version
from services.notify.templates.checks import problems
from services.notify.templates.texts import Key, TextSet, Wording, shipped_texts, templates, use_texts

CHANNELS = ("wechat", "sms", "mail", "wecom", "inbox")
LANGUAGES = ("zh", "en")
_parsed: dict[UUID, Wording] = {}


class BadWording(InvalidInput):
    """Names every field that is wrong."""

    code = "bad-wording"


async def texts_in_force(work: UnitOfWork) -> TextSet:
    """Read anew in each transaction, and kept for whoever words a message in it."""
    texts = await _confirmed(work)
    use_texts(texts)
    return texts


async def _confirmed(work: UnitOfWork) -> TextSet:
    t = template_version.c
    newest = (
        select(t.event_class, t.channel, t.language, t.template_key, t.wording)
        .ext(distinct_on(t.event_class, t.channel, t.language))
        .where(t.confirmed_at.is_not(None))
        .order_by(t.event_class, t.channel, t.language, t.number.desc())
    )
    rows = (await work.db.execute(newest)).all()
    if not rows:
        return shipped_texts()
    own: dict[Key, Wording] = {(r.event_class, r.channel, r.language): _read(r.template_key, r.wording) for r in rows}
    return TextSet(wordings={**shipped_texts().wordings, **own})


def _read(key: UUID, wording: Mapping[str, Any]) -> Wording:
    """A version never changes, so it is read once."""
    if key not in _parsed:
        _parsed[key] = Wording.model_validate(wording)
    return _parsed[key]


async def enter(work: UnitOfWork, *, event_class: str, channel: str, language: str, wording: Wording) -> dict[str, Any]:
    """A draft under the next number. Raises `NotFound` for an unknown class, `BadWording` with every problem."""
    require_class(event_class)
    check(wording, event_class=event_class, channel=channel, language=language)
    of = f"template|{event_class}|{channel}|{language}"
    await work.db.execute(text("SELECT pg_advisory_xact_lock(hashtext(:k))"), {"k": of})
    t = template_version.c
    last = select(func.coalesce(func.max(t.number), 0)).where(
        t.event_class == event_class, t.channel == channel, t.language == language
    )
    row = {
        "template_key": work.new_id(of), "event_class": event_class, "channel": channel, "language": language,
        "number": (await work.db.execute(last)).scalar_one() + 1, "wording": wording.model_dump(),
        "entered_by": work.actor.person_id, "entered_at": work.now, "confirmed_by": None, "confirmed_at": None,
    }  # fmt: skip
    await work.db.execute(insert(template_version).values(**row))
    await _audit(work, "template-entered", row)
    return row


async def confirm(work: UnitOfWork, *, key: UUID) -> dict[str, Any]:
    query = select(template_version).where(template_version.c.template_key == key).with_for_update()
    row = (await work.db.execute(query)).mappings().first()
    if row is None:
        raise NotFound(what_zh="模板版本", what_en="template version", field="template_key")
    if row["entered_by"] == work.actor.person_id:
        raise SelfApproval(
            zh="模板须由录入人以外的人员确认。", en="Somebody else than its author confirms a wording.",
            field="template_key",
        )  # fmt: skip
    if row["confirmed_at"] is not None:
        raise Conflict(zh="该版本已确认。", en="This version is confirmed already.", field="template_key")
    confirmed = {"confirmed_by": work.actor.person_id, "confirmed_at": work.now}
    await work.db.execute(update(template_version).where(template_version.c.template_key == key).values(**confirmed))
    await _audit(work, "template-confirmed", {**row, **confirmed})
    return {**row, **confirmed}


async def versions(work: UnitOfWork, *, event_class: str) -> list[dict[str, Any]]:
    require_class(event_class)
    t = template_version.c
    query = select(template_version).where(t.event_class == event_class)
    ordered = query.order_by(t.channel, t.language, t.number.desc()).limit(500)
    return [dict(r) for r in (await work.db.execute(ordered)).mappings()]


async def draft_of(work: UnitOfWork, *, key: UUID) -> dict[str, Any]:
    query = select(template_version).where(template_version.c.template_key == key)
    row = (await work.db.execute(query)).mappings().first()
    if row is None:
        raise NotFound(what_zh="模板版本", what_en="template version", field="template_key")
    return dict(row)


def check(wording: Wording, *, event_class: str, channel: str, language: str) -> None:
    found = problems(wording, event_class=event_class, channel=channel, language=language)
    if found:
        raise BadWording(
            zh="；".join(f"{p.field}：{p.zh}" for p in found), en="; ".join(f"{p.field}: {p.en}" for p in found),
            field=found[0].field,
        )  # fmt: skip


def require_class(event_class: str) -> None:
    if event_class not in templates():
        raise NotFound(what_zh="事件类别", what_en="event class", field="event_class")


async def _audit(work: UnitOfWork, action: str, row: Mapping[str, Any]) -> None:
    await work.audit(action=action, object_type="template", object_id=str(row["template_key"]), after=dict(row))
