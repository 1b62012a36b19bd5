"""People say themselves, or to their account manager, where they are reached; nobody has to wait for the archive."""

import re

from services.kernel.errors import InvalidInput
from services.kernel.work import UnitOfWork
from services.notify.directory import contacts
from services.notify.directory.persons import key_of

_SHAPES = {"mobile": r"\+?[0-9]{5,20}", "mail": r"[^@\s]+@[^@\s]+"}


async def say_own(work: UnitOfWork, *, kind: str, value: str) -> None:
    _check(kind, value)
    key = await key_of(work, person_id=work.actor.person_id)
    await contacts.say(work, key, kind=kind, value=value, source="person", by=work.actor.person_id)
    await _audit(work, work.actor.person_id, kind)


async def say_for(work: UnitOfWork, *, person_id: str, kind: str, value: str) -> None:
    _check(kind, value)
    key = await key_of(work, person_id=person_id)
    await contacts.say(work, key, kind=kind, value=value, source="manager", by=work.actor.person_id)
    await _audit(work, person_id, kind)


def _check(kind: str, value: str) -> None:
    if re.fullmatch(_SHAPES[kind], value) is None:
        raise InvalidInput(
            zh="手机号须为 5 至 20 位数字（可带 +），邮箱须含 @。",
            en="A phone number has 5 to 20 digits (with + allowed), a mail address an @.", field="value",
        )  # fmt: skip


async def _audit(work: UnitOfWork, person_id: str, kind: str) -> None:
    await work.audit(action="contact-corrected", object_type="contact", object_id=f"{person_id}/{kind}")
