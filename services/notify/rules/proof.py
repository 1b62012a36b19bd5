"""What proves that a notice reached a customer, in time and for whom it suffices: pure.

Lead times: 电力供应与使用条例 §28 and 供电监管办法 §13 (planned work 7 days, temporary work 24 hours before the start).
Which kind of proof suffices for whom is the house's own rule; its data carry a status.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum


class Level(StrEnum):
    ACCEPTED = "accepted"
    """A provider took it."""
    DELIVERED = "delivered"
    OPENED = "opened"
    ACKNOWLEDGED = "acknowledged"
    ANNOUNCED = "announced"
    """Published where everybody could see it."""
    CALL_RECORDED = "call-recorded"


@dataclass(frozen=True, kw_only=True)
class Proof:
    level: Level
    at: datetime


@dataclass(frozen=True, kw_only=True)
class ProofRule:
    """In force in [valid_from, valid_to): for `important` customers or others, what suffices and how long before."""

    important: bool
    temporary: bool
    suffices: frozenset[Level]
    lead: timedelta
    warn: timedelta
    """So long before the start an unproven customer is an alarm already; not shorter than `lead`."""
    valid_from: date
    valid_to: date | None = None
    source: str = ""
    status: str = "demo"


class NoProofRule(LookupError):
    """No rule of the kind is in force on the day."""


class Standing(StrEnum):
    PROVEN = "proven"
    PENDING = "pending"
    """Not proven, and there is still time."""
    UNPROVEN = "unproven"
    """An alarm: the warning time or the lead has come without proof."""
    LATE = "late"
    """Proven, but not in time."""


def rule_on(rules: Iterable[ProofRule], *, important: bool, temporary: bool, day: date) -> ProofRule:
    """Raises `NoProofRule`."""
    for rule in rules:
        begun = rule.valid_from <= day and (rule.valid_to is None or day < rule.valid_to)
        if begun and (rule.important, rule.temporary) == (important, temporary):
            return rule
    raise NoProofRule(f"important={important} temporary={temporary} on {day}")


def standing(rule: ProofRule, *, proofs: Iterable[Proof], starts_at: datetime, now: datetime) -> Standing:
    """Exactly at the lead a proof is still in time, and exactly at the warning time the alarm is due."""
    enough = [p.at for p in proofs if p.level in rule.suffices]
    if enough and min(enough) <= starts_at - rule.lead:
        return Standing.PROVEN
    if enough:
        return Standing.LATE
    return Standing.UNPROVEN if now >= starts_at - max(rule.warn, rule.lead) else Standing.PENDING


def best(proofs: Iterable[Proof]) -> Level | None:
    """The strongest there is, for the list of those to call."""
    order: Mapping[Level, int] = {level: n for n, level in enumerate(Level)}
    return max((p.level for p in proofs), key=lambda level: order[level], default=None)
