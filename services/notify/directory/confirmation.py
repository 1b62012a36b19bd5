"""Half-yearly confirmation of addresses by one tap: the message's signed link, the WeChat menu, or the own page."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select, update

from services.kernel.work import UnitOfWork
from services.notify.directory.contacts import person_with
from services.notify.directory.reachability import engaged_now
from services.notify.tables import contact, engagement, person

EVENT_CLASS = "contact-confirmation"
MENU_KEY = "confirm-contacts"
ASK_AGAIN_AFTER = timedelta(days=30)
"""Proposal of the house."""
ANSWER_WITHIN = timedelta(days=14)


async def confirm(work: UnitOfWork, *, person_id: str) -> int:
    """The person says that every address in force is right; how many there are."""
    said = update(contact).where(contact.c.person_id == person_id, contact.c.in_force)
    confirmed = await work.db.execute(said.values(confirmed_at=work.now).returning(contact.c.kind))
    await work.db.execute(update(person).where(person.c.person_id == person_id).values(confirm_asked_at=None))
    await work.audit(action="contacts-confirmed", object_type="person", object_id=person_id)
    return len(confirmed.all())


async def confirm_by_openid(work: UnitOfWork, *, openid: str) -> bool:
    """The menu was tapped; False when nobody is bound to the openid."""
    person_id = await person_with(work, kind="wechat", value=openid)
    if person_id is None:
        return False
    await confirm(work, person_id=person_id)
    return True


async def due(work: UnitOfWork, *, after_months: int, limit: int) -> list[dict[str, Any]]:
    """People with an engagement now whose oldest address in force was confirmed at or before the border."""
    c = contact.c
    last = func.min(func.greatest(c.said_at, func.coalesce(c.confirmed_at, c.said_at))).label("confirmed_at")
    query = (
        select(engagement.c.person_id, func.min(engagement.c.customer_id).label("customer_id"), last,
               func.max(person.c.confirm_asked_at).label("asked_at"))
        .join_from(engagement, person, person.c.person_id == engagement.c.person_id)
        .join(contact, contact.c.person_id == person.c.person_id)
        .where(*engaged_now(work), c.in_force)
        .group_by(engagement.c.person_id)
        .having(last <= months_before(work.now, after_months))
        .order_by(last, engagement.c.person_id)
        .limit(limit)
    )  # fmt: skip
    return [dict(r) for r in (await work.db.execute(query)).mappings()]


async def asked(work: UnitOfWork, *, person_ids: list[str]) -> None:
    await work.db.execute(
        update(person).where(person.c.person_id.in_(person_ids)).values(confirm_asked_at=work.now)
    )  # fmt: skip


def may_be_asked(asked_at: datetime | None, *, now: datetime) -> bool:
    return asked_at is None or asked_at + ASK_AGAIN_AFTER <= now


def months_before(moment: datetime, months: int) -> datetime:
    """The same day `months` earlier, or the last day of that month."""
    month = moment.year * 12 + moment.month - 1 - months
    for day in range(moment.day, 27, -1):
        try:
            return moment.replace(year=month // 12, month=month % 12 + 1, day=day)
        except ValueError:
            continue
    return moment.replace(year=month // 12, month=month % 12 + 1)
