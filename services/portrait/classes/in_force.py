"""The class rules that hold on a day: the confirmed document, with the percentiles frozen last."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import select

from services.kernel.work import UnitOfWork
from services.portrait import tables as t
from services.portrait.customers.calendar import month_name
from services.portrait.reference_data import shipped
from services.portrait.rules.attention import AttentionRules, attention_rules_from
from services.portrait.rules.classes import ClassRules, class_rules_from


@dataclass(frozen=True, kw_only=True)
class RulesInForce:
    document: Mapping[str, Any]
    for_classes: ClassRules
    for_attention: AttentionRules

    @property
    def nature_scores(self) -> Mapping[str, float]:
        scores: Mapping[str, float] = self.document["supply_nature_scores"]
        return scores

    @property
    def planned_quotas(self) -> Sequence[tuple[float, int]]:
        """(kV from which it holds, planned outages a year), highest voltage first."""
        return [(float(kv), int(times)) for kv, times in self.document["planned_outages_per_year"]["at_least_kv"]]


async def rules_in_force(work: UnitOfWork, *, day: date) -> RulesInForce:
    """Until the department has entered and confirmed its own document, the shipped demonstration holds."""
    document = await _document_on(work, day) or shipped("class_rules_demo")
    frozen = await _percentiles_on(work, day)
    effective = with_percentiles(document, *frozen) if frozen else document
    return RulesInForce(
        document=effective,
        for_classes=class_rules_from(effective),
        for_attention=attention_rules_from(effective),
    )


def with_percentiles(
    document: Mapping[str, Any], month: str, thresholds: Mapping[str, float], population: Mapping[str, Any]
) -> dict[str, Any]:
    """The document as it holds in a month; its version names both."""
    return {
        **document,
        "version": f"{document['version']}+{month}",
        "thresholds": {**document["thresholds"], **thresholds},
        "population": {**document["population"], **population},
    }


async def _document_on(work: UnitOfWork, day: date) -> dict[str, Any] | None:
    d = t.class_document
    found = await work.db.execute(
        select(d.c.document)
        .where(d.c.effective_from <= day, d.c.confirmed_at.is_not(None))
        .order_by(d.c.effective_from.desc(), d.c.confirmed_at.desc())
        .limit(1)
    )
    document: dict[str, Any] | None = found.scalar_one_or_none()
    return document


async def _percentiles_on(work: UnitOfWork, day: date) -> tuple[str, dict[str, float], dict[str, Any]] | None:
    p = t.class_percentile
    found = await work.db.execute(
        select(p.c.month, p.c.thresholds, p.c.population)
        .where(p.c.month <= month_name(day))
        .order_by(p.c.month.desc())
        .limit(1)
    )
    row = found.first()
    return (row.month, row.thresholds, row.population) if row else None
