"""Invented facts of every type, typical and as long as the contracts allow: for previews and for checks at saving."""

from collections.abc import Mapping
from typing import Any

from services.notify.templates.facts import FactType

TYPICAL: dict[FactType, Any] = {
    "text": "示例机械厂", "moment": "2026-07-01T04:05:00+00:00", "day": "2026-07-20", "month": "2026-06",
    "number": "81.2", "percent": "0.9987", "energy": "123456.7", "power": "171.468", "yuan": "98765.43", "flag": False,
    "grade": "serious", "classes": ["high-reliability"], "application-kind": "new-connection",
    "application-stage": "surveyed", "usage-warning": "demand:near", "usage-warning-kind": "demand",
    "assignment-purpose": "visit",
    "conversation-topic": "bill", "conversation-level": "0",
}  # fmt: skip
LONGEST: dict[FactType, Any] = {
    "text": "示例特种金属制品与精密机械制造有限责任公司第一分公司二号生产基地东区变电所及附属设施，" * 4,
    "moment": "2026-12-31T15:59:59+00:00", "day": "2026-12-31", "month": "2026-12", "number": "100", "percent": "1",
    "energy": "99999999.999999", "power": "99999999.999999", "yuan": "99999999.99", "flag": True, "grade": "critical",
    "classes": ["high-reliability", "high-contribution", "high-service", "high-potential"],
    "application-kind": "capacity-reduction", "application-stage": "contracted",
    "usage-warning": "power-factor:recoverable", "usage-warning-kind": "deadline",
    "assignment-purpose": "inspection-support",
    "conversation-topic": "score-query", "conversation-level": "2",
}  # fmt: skip
TYPICAL_ACCOUNTS = ("5001000001",)
LONGEST_ACCOUNTS = tuple(f"50010000{n:02d}" for n in range(30))


def facts_of(declared: Mapping[str, FactType], values: Mapping[FactType, Any]) -> dict[str, Any]:
    return {name: values[kind] for name, kind in declared.items() if kind != "accounts"}
