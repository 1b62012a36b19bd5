"""What the facts say of a customer now. Computed from tables alone, so that any order of events ends alike."""

from decimal import Decimal
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from services.contracts.portrait import CustomerProfileChanged, CustomerReclassified, FourHighClass
from services.kernel.work import UnitOfWork
from services.portrait import tables as t
from services.portrait.classes.explain import turned, verdicts_said
from services.portrait.classes.in_force import rules_in_force
from services.portrait.classes.memberships import keep_changes, keep_facts
from services.portrait.customers.calendar import local_day
from services.portrait.customers.facts import Facts, read_facts
from services.portrait.rules.attention import Attention, attention
from services.portrait.rules.classes import Classification, classify

_CLASS_ORDER: tuple[FourHighClass, ...] = ("high-reliability", "high-contribution", "high-service", "high-potential")


async def reassess(work: UnitOfWork, *, customer_id: str) -> bool:
    """Publish the customer's profile if it differs from the one published last, and tell of another class or level.

    Returns whether it differed. Callers that reassess several customers do so in the order of their ids.
    """
    # The lock makes writers of facts of one customer take turns, so the last of them sees the facts of all.
    locked = await work.db.execute(select(t.customer).where(t.customer.c.customer_id == customer_id).with_for_update())
    if locked.first() is None:
        return False
    rules = await rules_in_force(work, day=local_day(work.now))
    facts = await read_facts(work, customer_id=customer_id, rules=rules)
    classes = classify(facts=facts.for_classes, rules=rules.for_classes)
    level = attention(
        inputs=facts.for_attention(high_reliability="high-reliability" in classes.classes),
        as_of=facts.as_of,
        rules=rules.for_attention,
    )
    await keep_facts(work, customer_id=customer_id, facts=facts.for_classes, vetoes=facts.vetoes)
    before = (await work.db.execute(select(t.profile).where(t.profile.c.customer_id == customer_id))).first()
    event = _event(facts, classes, level, version=before.version + 1 if before else 1)
    body = event.model_dump(mode="json", exclude={"version"})
    explanation = _explanation(facts, classes, level)
    if before is not None and before.body == body:
        # The classes stand, but on other values than before: the reasons must be today's.
        if before.explanation != explanation:
            where = t.profile.c.customer_id == customer_id
            await work.db.execute(update(t.profile).where(where).values(explanation=explanation))
        return False
    await _store(work, event, body, explanation)
    known = before if before is not None and before.body is not None else None
    changes = turned(before=known.explanation if known else None, now=explanation)
    await keep_changes(work, customer_id=customer_id, profile_version=event.version, changes=changes)
    work.emit(event)
    _tell_reclassified(work, event, known.body if known else None)
    return True


def _event(facts: Facts, classes: Classification, level: Attention, *, version: int) -> CustomerProfileChanged:
    return CustomerProfileChanged(
        customer_id=facts.customer_id,
        version=version,
        name=facts.name,
        key_account=facts.key_account,
        accounts=facts.accounts,
        sites=facts.sites,
        usage_points=facts.usage_points,
        importance_grade=facts.importance_grade,
        mean_load_kw=facts.mean_load_kw,
        classes=tuple(v.name for v in classes.verdicts if v.holds),
        primary_class=classes.primary,
        attention_level=level.level,
        attention_reasons=level.reasons,
        cycle_factor=Decimal(str(level.cycle_factor)),
    )


def _explanation(facts: Facts, classes: Classification, level: Attention) -> dict[str, Any]:
    return {
        "indicators": {code: m._asdict() for code, m in facts.for_classes.indicators.items()},
        "verdicts": verdicts_said(classes),
        "inspection_due": level.inspection_due,
        "extra_service_visits": level.extra_service_visits,
        "planned_outage_needs_approval": level.planned_outage_needs_approval,
        "advice_proposed": level.advice_proposed,
        "target_vetoes": list(facts.vetoes),
    }


async def _store(
    work: UnitOfWork, event: CustomerProfileChanged, body: dict[str, Any], explanation: dict[str, Any]
) -> None:
    values = {
        "version": event.version,
        "body": body,
        "name": event.name,
        "key_account": event.key_account,
        "classes": list(event.classes),
        "attention_level": event.attention_level,
        "cycle_factor": event.cycle_factor,
        "explanation": explanation,
    }
    await work.db.execute(
        upsert(t.profile)
        .values(customer_id=event.customer_id, **values)
        .on_conflict_do_update(index_elements=["customer_id"], set_=values)
    )


def _tell_reclassified(work: UnitOfWork, event: CustomerProfileChanged, before: dict[str, Any] | None) -> None:
    known = before or {"classes": [], "attention_level": 0}
    if set(known["classes"]) == set(event.classes) and known["attention_level"] == event.attention_level:
        return
    moved = set(known["classes"]) ^ set(event.classes)
    reasons = [f"class:{name}" for name in _CLASS_ORDER if name in moved] + list(event.attention_reasons)
    work.emit(
        CustomerReclassified(
            customer_id=event.customer_id,
            profile_version=event.version,
            classes_before=tuple(name for name in _CLASS_ORDER if name in known["classes"]),
            classes_after=event.classes,
            attention_before=known["attention_level"],
            attention_after=event.attention_level,
            reasons=tuple(reasons[:20]),
            occurred_at=work.now,
        )
    )
