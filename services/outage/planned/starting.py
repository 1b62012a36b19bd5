"""A dispatcher lets a planned outage begin; without proof of notice only after another person let it go."""

from typing import Any

from sqlalchemy import Row, update

from services.kernel.errors import Conflict, SelfApproval
from services.kernel.work import UnitOfWork
from services.outage.planned.changes import locked
from services.outage.rules.starting import Obstacle, Plan, obstacle_to_override, obstacle_to_start
from services.outage.tables import planned_outage


class NoticeNotProven(Conflict):
    code = "notice-not-proven"


async def start(work: UnitOfWork, *, outage_id: str) -> None:
    """Raises `NotFound`, `NoticeNotProven`, `Conflict` (not announced, too early, window past, over)."""
    row = await locked(work, outage_id=outage_id)
    obstacle = obstacle_to_start(_plan(row), now=work.now)
    if obstacle is Obstacle.NOT_PROVEN:
        raise NoticeNotProven(
            zh=f"尚有 {row.unproven_customers} 户未证明已按时知悉，不得开始停电；"
            "请补告知，或由规划人以外的人员说明理由放行。",
            en=f"{row.unproven_customers} customers are not shown to know in time and the outage may not begin; "
            "tell them, or have another person than the planner let it go with a reason.",
            field="outage_id",
        )
    if obstacle is Obstacle.TOO_EARLY:
        raise Conflict(
            zh="未到已公告的停电开始时间，请届时再开始。",
            en="The announced start has not come; begin at that hour.",
            field="outage_id",
        )
    _refuse(obstacle)
    values = {"status": "started", "started_by": work.actor.person_id, "started_at": work.now}
    await _write(work, row, "planned-outage-started", values)


async def override(work: UnitOfWork, *, outage_id: str, reason: str) -> None:
    """Lets this version of the plan begin without proof. Raises `NotFound`, `SelfApproval`, `Conflict`."""
    row = await locked(work, outage_id=outage_id)
    if work.actor.person_id in (row.entered_by, row.changed_by):
        raise SelfApproval(
            zh="放行须由规划人以外的人员决定。", en="Another person than its planner lets a plan go.", field="outage_id"
        )
    obstacle = obstacle_to_override(_plan(row), now=work.now)
    if obstacle is Obstacle.TOO_EARLY:
        raise Conflict(
            zh="告知期限未到，仍可补告知用户，无需放行。",
            en="There is still time to tell the customers; no exception is needed.",
            field="outage_id",
        )
    _refuse(obstacle)
    if not row.unproven_customers:
        raise Conflict(
            zh="全部用户均已证明按时知悉，无需放行。",
            en="Every customer is shown to know in time; no exception is needed.",
            field="outage_id",
        )
    values = {"overridden_by": work.actor.person_id, "overridden_at": work.now, "override_reason": reason}
    await _write(work, row, "planned-outage-overridden", values, reason=reason)


def _plan(row: Row[Any]) -> Plan:
    return Plan(
        status=row.status, announced=row.said_version == row.version, starts_at=row.starts_at, ends_at=row.ends_at,
        temporary=row.temporary, unproven=row.unproven_customers, overridden=row.overridden_by is not None,
    )  # fmt: skip


def _refuse(obstacle: Obstacle | None) -> None:
    words = {
        Obstacle.OVER_ALREADY: ("该计划停电已开始或已取消。", "The plan has begun or was cancelled already."),
        Obstacle.NOT_ANNOUNCED: ("最新计划尚未公告，请稍后重试。", "The newest plan is not announced yet; retry soon."),
        Obstacle.WINDOW_PAST: (
            "已过公告的停电时段，请重新提交计划。",
            "The announced window is past; enter a new plan.",
        ),
    }
    if obstacle is not None:
        zh, en = words[obstacle]
        raise Conflict(zh=zh, en=en, field="outage_id")


async def _write(
    work: UnitOfWork, row: Row[Any], action: str, values: dict[str, Any], *, reason: str | None = None
) -> None:
    await work.db.execute(update(planned_outage).where(planned_outage.c.outage_id == row.outage_id).values(values))
    known = {"version": row.version, "unproven_customers": row.unproven_customers}
    await work.audit(
        action=action, object_type="outage", object_id=row.outage_id, before=known, after=values, reason=reason
    )
