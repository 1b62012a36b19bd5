"""The life of a hazard: which step may follow which state, who may take it, and until when it must be removed.

Rule hazard-deadline-by-grade: 整改时限按隐患等级确定。Critical, serious and general hazards each have their own time.
Rule other-eyes-verify: 整改人不得验收；重大、严重隐患的发现人也不得验收。Nobody verifies their own repair, nor the
    finder of a critical or serious hazard its removal.
Rule suspicion-is-decided-first: 疑似隐患须先由检查员确认或排除。A suspicion is confirmed or voided before any repair.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Literal

from services.inspection.rules.parameters import parameter
from services.inspection.rules.words import HazardGrade, HazardStatus

Step = Literal["confirm", "void", "rectify", "verify", "close"]

OPEN: frozenset[HazardStatus] = frozenset({"found", "notified", "confirmed", "rectified", "verified"})
AWAITING_REPAIR: frozenset[HazardStatus] = frozenset({"found", "notified", "confirmed"})
_STEPS: dict[Step, tuple[frozenset[HazardStatus], HazardStatus]] = {
    "confirm": (frozenset({"found", "notified"}), "confirmed"),
    "void": (AWAITING_REPAIR, "voided"),
    "rectify": (AWAITING_REPAIR, "rectified"),
    "verify": (frozenset({"rectified"}), "verified"),
    "close": (frozenset({"verified"}), "closed"),
}


class WrongStep(ValueError):
    """The hazard's state does not allow the step; `allowed` names the steps it does allow."""

    def __init__(self, *, step: Step, status: HazardStatus, allowed: tuple[Step, ...]) -> None:
        super().__init__(f"{step} of a hazard that is {status}")
        self.step = step
        self.status = status
        self.allowed = allowed


def allowed_steps(*, status: HazardStatus, suspected: bool) -> tuple[Step, ...]:
    """A suspicion is confirmed or voided before anybody has to rectify it; a certain finding needs no confirmation."""
    barred: Step = "rectify" if suspected else "confirm"
    return tuple(step for step, (sources, _) in _STEPS.items() if status in sources and step != barred)


def next_status(*, step: Step, status: HazardStatus, suspected: bool) -> HazardStatus:
    """Raises `WrongStep`."""
    allowed = allowed_steps(status=status, suspected=suspected)
    if step not in allowed:
        raise WrongStep(step=step, status=status, allowed=allowed)
    return _STEPS[step][1]


def may_verify(*, person_id: str, grade: HazardGrade, rectified_by: Collection[str], finders: Collection[str]) -> bool:
    """Nobody verifies their own repair; critical and serious hazards need eyes other than the finders' as well."""
    if person_id in rectified_by:
        return False
    return grade == "general" or person_id not in finders


def deadline_of(*, grade: HazardGrade, found_at: datetime) -> datetime:
    hours = parameter("hazard-deadline-hours", day=found_at.date())[grade]
    return found_at + timedelta(hours=hours)
