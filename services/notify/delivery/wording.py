"""From a row to what a channel is given: address, template fields, full text, link."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from sqlalchemy import select

from services.kernel.work import UnitOfWork
from services.notify.adapters.port import Outgoing
from services.notify.adapters.wechat.messages import client_msg_id
from services.notify.delivery.endpoints import endpoint_addresses
from services.notify.delivery.links import link_to
from services.notify.delivery.rows import CONTACT_OF_CHANNEL, Row
from services.notify.directory.vault import vault
from services.notify.policy.planning import Place
from services.notify.tables import contact, person
from services.notify.templates.texts import current_texts, templates, wechat_fields

TRIAL = "template-trial"


def template_of(event_class: str) -> str:
    return current_texts().wording(event_class, channel="wechat", language="zh").template_id


def classes_of(template_ids: frozenset[str]) -> list[str]:
    """The event classes that would use one of these templates."""
    return sorted(name for name in templates() if template_of(name) in template_ids)


async def addresses(work: UnitOfWork, *, channel: str, people: Sequence[str]) -> dict[str, str]:
    """Person -> usable address on the channel, in the clear for the length of the sending."""
    if channel == "webhook":
        return await endpoint_addresses(work, people=people)
    kind = CONTACT_OF_CHANNEL[channel]
    query = (
        select(person.c.person_id, person.c.wrapped_key, contact.c.value_cipher)
        .join_from(person, contact)
        .where(
            person.c.person_id.in_(people),
            contact.c.kind == kind,
            contact.c.in_force,
            contact.c.unusable_because.is_(None),
        )
    )
    return {
        row.person_id: vault().unwrap(row.wrapped_key, person_id=row.person_id).open(row.value_cipher, field=kind)
        for row in await work.db.execute(query)
    }


def outgoing(
    work: UnitOfWork, row: Row, *, address: str, places: Mapping[UUID, tuple[Place, ...]], link_key: bytes
) -> Outgoing:
    accounts = [p.account_id for p in places.get(row["delivery_id"], ())]
    facts, language, event_class = row["facts"], row["language"], row["event_class"]
    words = current_texts().render(
        event_class, channel=row["channel"], language=language, facts=facts, account_ids=accounts
    )
    fields, template_id = words.fields, template_of(event_class)
    if row["channel"] == "sms":
        fields = wechat_fields(event_class, language=language, facts=facts, account_ids=accounts)
    if event_class == TRIAL:  # a wording before it is in force brings its own filled fields
        fields, template_id = facts["fields"], facts["template_id"]
    link = link_to(row["delivery_id"], key=link_key, now=row["created_at"])
    return Outgoing(
        delivery_id=row["delivery_id"], message_id=client_msg_id(delivery_id=row["delivery_id"]), address=address,
        template_id=template_id, fields=fields, title=words.title, body=words.body, event_class=event_class,
        created_at=row["created_at"], sent_at=work.now, link=link, language=language,
        unsubscribe=f"{link}/unsubscribe" if link is not None and not row["mandatory"] else None,
        subject_id=row["subject_id"], account_ids=tuple(accounts), facts=facts,
    )  # fmt: skip
