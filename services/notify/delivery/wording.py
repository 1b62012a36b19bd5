"""From a row to what a channel is given: address, template fields, full text, link."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from services.kernel.work import UnitOfWork
from services.notify.adapters.port import Outgoing
from services.notify.adapters.wechat.messages import client_msg_id
from services.notify.delivery.chat import Spoken
from services.notify.delivery.endpoints import endpoint_addresses
from services.notify.delivery.links import link_to
from services.notify.delivery.rows import CONTACT_OF_CHANNEL, Row
from services.notify.directory.vault import vault
from services.notify.policy.planning import Place
from services.notify.templates.texts import current_texts, templates, wechat_fields

TRIAL = "template-trial"
_ADDRESSES = """
SELECT p.person_id, p.wrapped_key, c.value_cipher FROM notify.person p JOIN notify.contact c USING (person_id)
WHERE p.person_id = ANY($1::text[]) AND c.kind = $2 AND c.in_force AND c.unusable_because IS NULL"""


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
    rows = await (await work.raw()).fetch(_ADDRESSES, list(people), kind)
    unwrap = vault().unwrap
    return {p: unwrap(wrapped, person_id=p).open(sealed, field=kind) for p, wrapped, sealed in rows}


def outgoing(
    work: UnitOfWork, row: Row, *, address: str, places: Mapping[UUID, tuple[Place, ...]], link_key: bytes,
    spoken: Spoken | None = None,
) -> Outgoing:  # fmt: skip
    """`spoken`: the words of a conversation, which go out as they were written and in no template."""
    accounts = [p.account_id for p in places.get(row["delivery_id"], ())]
    facts, language, event_class = row["facts"], row["language"], row["event_class"]
    words = current_texts().render(
        event_class, channel=row["channel"], language=language, facts=facts, account_ids=accounts,
        short=row["channel"] == "wechat",
    )  # fmt: skip
    fields, template_id = words.fields, template_of(event_class)
    if row["channel"] == "sms":
        fields = wechat_fields(event_class, language=language, facts=facts, account_ids=accounts)
    if event_class == TRIAL:  # a wording before it is in force brings its own filled fields
        fields, template_id = facts["fields"], facts["template_id"]
    link = link_to(row["delivery_id"], key=link_key, now=row["created_at"])
    return Outgoing(
        delivery_id=row["delivery_id"], message_id=client_msg_id(delivery_id=row["delivery_id"]), address=address,
        template_id=template_id, fields=fields if spoken is None else spoken.choices, title=words.title,
        body=words.body if spoken is None else spoken.text, event_class=event_class,
        created_at=row["created_at"], sent_at=work.now, link=link, language=language,
        unsubscribe=f"{link}/unsubscribe" if link is not None and not row["mandatory"] else None,
        subject_id=row["subject_id"], account_ids=tuple(accounts), facts=facts,
    )  # fmt: skip
