"""The life of a hazard: which step may follow which state, who may take it, and until when it must be removed."""

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
