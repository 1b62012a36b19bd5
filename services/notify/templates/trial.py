"""A wording before it is confirmed, sent to the person who asks, on its own channel, filled with invented facts."""

from typing import Any
from uuid import UUID

from sqlalchemy import select

from services.kernel.auth.grants import visible
from services.kernel.errors import Conflict
from services.kernel.work import UnitOfWork
from services.notify.delivery.fanout import Told, store
from services.notify.delivery.wording import TRIAL
from services.notify.policy.planning import INBOX, Recipient
from services.notify.policy.store import policy_in_force
from services.notify.tables import customer
from services.notify.templates.checks import sampled
from services.notify.templates.store import draft_of
from services.notify.templates.texts import Wording


async def send(work: UnitOfWork, *, key: UUID) -> str:
    """The name of the happening. Raises `Conflict` for somebody without any customer in their scope."""
    row = await draft_of(work, key=key)
    drawn = sampled(
        Wording.model_validate(row["wording"]), event_class=row["event_class"], language=row["language"],
        sample="typical",
    )  # fmt: skip
    facts: dict[str, Any] = {
        "headline": drawn.title, "text": drawn.body, "template_id": drawn.template_id, "fields": drawn.fields,
    }  # fmt: skip
    query = select(customer.c.customer_id).where(visible(customer.c.customer_id, work=work)).limit(1)
    customer_id = (await work.db.execute(query.order_by(customer.c.customer_id))).scalar()
    if customer_id is None:
        raise Conflict(zh="您的范围内还没有客户，无法试发。", en="No customer is in your scope yet; a trial needs one.")
    told = Told(
        name=f"{TRIAL}|{key}|{work.new_id('trial')}", event_class=TRIAL, subject_id=str(key),
        event_at=work.now, facts=facts,
    )  # fmt: skip
    ladder = (row["channel"],) if row["channel"] == INBOX else (row["channel"], INBOX)
    to_oneself = Recipient(person_id=work.actor.person_id, customer_id=customer_id, places=(), channels=ladder)
    rule = (await policy_in_force(work)).rule_for(TRIAL)
    await store(work, rule=rule, told=told, recipients=[to_oneself])
    await work.audit(action="template-tried", object_type="template", object_id=str(key), after=facts)
    return told.name
