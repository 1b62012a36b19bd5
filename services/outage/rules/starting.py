"""When a planned outage may begin, and when somebody else may let it begin without proof of notice: pure.

Rule planned-outage-proof: 计划停电须全部用户可证已按时知悉方可开始，例外由他人放行。Proof, or another lets it go.

Lead times: 电力供应与使用条例 §28, 供电监管办法 §13 (`notice.py`). That a plan without proof stands still, and who may
let it go, is the house's own rule.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from services.outage.rules.notice import in_time


class Standing(StrEnum):
    """Of one customer towards one version of a plan, as notify said it last."""

    PENDING = "pending"
    PROVEN = "proven"
    LATE = "late"
    """Knows, but learned it too late for the announced start."""
    UNPROVEN = "unproven"


def standing(*, unproven_at: datetime | None, proven_at: datetime | None, known_in_time: bool | None) -> Standing:
    """The two words may have come in any order: a proof answers an alarm that is not younger."""
    if proven_at is None:
        return Standing.PENDING if unproven_at is None else Standing.UNPROVEN
    if unproven_at is not None and proven_at < unproven_at:
        return Standing.UNPROVEN
    return Standing.PROVEN if known_in_time else Standing.LATE


class Obstacle(StrEnum):
    NOT_ANNOUNCED = "not-announced"
    OVER_ALREADY = "over-already"
    """Cancelled, or begun before."""
    TOO_EARLY = "too-early"
    WINDOW_PAST = "window-past"
    NOT_PROVEN = "not-proven"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """`unproven`: how many customers are not shown to know in time; `overridden`: for this very version."""

    status: str
    announced: bool
    starts_at: datetime
    ends_at: datetime
    temporary: bool
    unproven: int
    overridden: bool


def obstacle_to_start(plan: Plan, *, now: datetime) -> Obstacle | None:
    """Never before the hour that the customers were told, and only within the announced window."""
    if plan.status in ("cancelled", "started"):
        return Obstacle.OVER_ALREADY
    if not plan.announced:
        return Obstacle.NOT_ANNOUNCED
    if now < plan.starts_at:
        return Obstacle.TOO_EARLY
    if now >= plan.ends_at:
        return Obstacle.WINDOW_PAST
    return Obstacle.NOT_PROVEN if plan.unproven and not plan.overridden else None


def obstacle_to_override(plan: Plan, *, now: datetime) -> Obstacle | None:
    """As long as customers can still be told in time nobody needs an exception."""
    if plan.status in ("cancelled", "started"):
        return Obstacle.OVER_ALREADY
    if not plan.announced:
        return Obstacle.NOT_ANNOUNCED
    if now >= plan.ends_at:
        return Obstacle.WINDOW_PAST
    return Obstacle.TOO_EARLY if in_time(now=now, starts_at=plan.starts_at, temporary=plan.temporary) else None
