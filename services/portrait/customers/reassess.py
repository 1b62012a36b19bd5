"""What the facts say of a customer now. Computed from tables alone, so that any order of events ends alike."""

from decimal import Decimal
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from services.contracts.portrait import CustomerProfileChanged, CustomerReclassified, FourHighClass
from services.kernel.work import UnitOfWork
from services.portrait import tables as t
from services.portrait.customers.facts import Facts, class_document, read_facts
from services.portrait.rules.attention import Attention, AttentionRules, attention
from services.portrait.rules.classes import Classification, class_rules_from, classify

_CLASS_ORDER: tuple[FourHighClass, ...] = ("high-reliability", "high-contribution", "high-service", "high-potential")


async def reassess(work: UnitOfWork, *, customer_id: str) -> bool:
    """Publish the customer's profile if it differs from the one published last, and tell of another class or level.

    Returns whether it differed. Callers that reassess several customers do so in the order of their ids.
    """
    # The lock makes writers of facts of one customer take turns, so the last of them sees the facts of all.
    locked = await work.db.execute(select(t.customer).where(t.customer.c.customer_id == customer_id).with_for_update())
    if locked.first() is None:
        return False
    document = await class_document(work)
    facts = await read_facts(work, customer_id=customer_id, nature_scores=document["supply_nature_scores"])
    classes = classify(facts=facts.for_classes, rules=class_rules_from(document))
    level = attention(
        inputs=facts.for_attention(high_reliability="high-reliability" in classes.classes),
        as_of=facts.as_of,
        rules=AttentionRules(),
    )
    before = (await work.db.execute(select(t.profile).where(t.profile.c.customer_id == customer_id))).first()
    event = _event(facts, classes, level, version=before.version + 1 if before else 1)
    body = event.model_dump(mode="json", exclude={"version"})
    differs = before is None or before.body != body
    # What explains the classes moves with every fact, also with those that leave the profile as it is.
    explanation = _explanation(facts, classes, level)
    if before is not None and not differs and before.explanation != explanation:
        kept = t.profile.c.customer_id == customer_id
        await work.db.execute(update(t.profile).where(kept).values(explanation=explanation))
    if differs:
        await _store(work, event, body, explanation)
        work.emit(event)
        _tell_reclassified(work, event, before.body if before else None)
    return differs


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
        "verdicts": [
            {
                "name": v.name,
                "holds": v.holds,
                "strength": v.strength,
                "rule_version": v.rule_version,
                "criteria": [
                    {"code": c.code, "value": c.value, "threshold": c.threshold, "holds": c.holds, "reason": c.reason}
                    for c in v.criteria
                ],
            }
            for v in classes.verdicts
        ],
        "inspection_due": level.inspection_due,
        "extra_service_visits": level.extra_service_visits,
        "planned_outage_needs_approval": level.planned_outage_needs_approval,
        "advice_proposed": level.advice_proposed,
        "target_list_veto": level.target_list_veto,
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
