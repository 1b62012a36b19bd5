"""A planner enters a planned outage in time, moves it, or takes it back; what is said of it, `announcing.py` says.

Rule planned-outage-correction: 变更后的计划停电仍须提前通知，变更和取消均告知已被告知的人。The told are corrected.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, select, update

from services.kernel.errors import Conflict, InvalidInput, NotFound, Problem
from services.kernel.work import UnitOfWork
from services.outage.queries import sees_feeder
from services.outage.rules.notice import in_time, required_notice
from services.outage.tables import feeder, planned_outage


class NoticeTooShort(Problem):
    status = 422
    code = "notice-too-short"


async def accept(
    work: UnitOfWork,
    *,
    feeder_id: str,
    section_ids: Sequence[str],
    starts_at: datetime,
    ends_at: datetime,
    reason: str,
    temporary: bool,
) -> str:
    """Its id. Raises `NotFound` for feeders outside the caller's areas, `NoticeTooShort`, `InvalidInput`."""
    await _check_network(work, feeder_id=feeder_id, section_ids=section_ids)
    _check_window(work, starts_at=starts_at, ends_at=ends_at, temporary=temporary)
    outage_id = str(work.new_id("planned-outage"))
    row = {
        "outage_id": outage_id, "version": 1, "said_version": 0, "feeder_id": feeder_id,
        "section_ids": sorted(set(section_ids)), "starts_at": starts_at, "ends_at": ends_at, "reason": reason,
        "temporary": temporary, "status": "accepted", "unproven_customers": 0, "entered_by": work.actor.person_id,
    }  # fmt: skip
    await work.db.execute(planned_outage.insert().values(row))
    await work.audit(action="planned-outage-accepted", object_type="outage", object_id=outage_id, after=row)
    return outage_id


async def change(work: UnitOfWork, *, outage_id: str, starts_at: datetime, ends_at: datetime, reason: str) -> None:
    """Another window, with the same notice as a new plan; proofs and exceptions of the old one no longer count.

    Raises `NotFound`, `Conflict` (begun, cancelled), `NoticeTooShort`, `InvalidInput`.
    """
    row = await locked(work, outage_id=outage_id)
    _check_open(row)
    _check_window(work, starts_at=starts_at, ends_at=ends_at, temporary=row.temporary)
    values = {
        "starts_at": starts_at, "ends_at": ends_at, "reason": reason, "changed_by": work.actor.person_id,
        "version": row.version + 1, "overridden_by": None, "overridden_at": None, "override_reason": None,
    }  # fmt: skip
    await _write(work, row, "planned-outage-changed", values)


async def cancel(work: UnitOfWork, *, outage_id: str, reason: str) -> None:
    """Raises `NotFound`, `Conflict` (begun, cancelled)."""
    row = await locked(work, outage_id=outage_id)
    _check_open(row)
    values = {
        "status": "cancelled", "reason": reason, "changed_by": work.actor.person_id, "version": row.version + 1,
    }  # fmt: skip
    await _write(work, row, "planned-outage-cancelled", values)


async def locked(work: UnitOfWork, *, outage_id: str) -> Row[Any]:
    """The plan for writing. Raises `NotFound`, also for feeders outside the caller's areas."""
    own = select(feeder.c.feeder_id).where(sees_feeder(work))
    find = select(planned_outage).where(planned_outage.c.outage_id == outage_id, planned_outage.c.feeder_id.in_(own))
    row = (await work.db.execute(find.with_for_update())).first()
    if row is None:
        raise NotFound(what_zh="计划停电", what_en="planned outage", field="outage_id")
    return row


async def _write(work: UnitOfWork, row: Row[Any], action: str, values: dict[str, Any]) -> None:
    await work.db.execute(update(planned_outage).where(planned_outage.c.outage_id == row.outage_id).values(values))
    before = {name: getattr(row, name) for name in values}
    await work.audit(action=action, object_type="outage", object_id=row.outage_id, before=before, after=values)


def _check_open(row: Row[Any]) -> None:
    if row.status == "started":
        raise Conflict(
            zh="该计划停电已开始，不能再变更或取消。",
            en="The outage has begun; it can be neither changed nor cancelled.",
        )
    if row.status == "cancelled":
        raise Conflict(zh="该计划停电已取消，请重新提交计划。", en="The plan was cancelled; enter a new one.")
    if row.said_version < row.version:  # the customers are told windows one after the other, each as it was announced
        raise Conflict(
            zh="上一版计划正在公告，请稍后重试。", en="The last version is being announced; retry in some seconds."
        )


def _check_window(work: UnitOfWork, *, starts_at: datetime, ends_at: datetime, temporary: bool) -> None:
    if ends_at <= starts_at:
        raise InvalidInput(zh="ends_at 须晚于 starts_at。", en="ends_at must be later than starts_at.", field="ends_at")
    if not in_time(now=work.now, starts_at=starts_at, temporary=temporary):
        hours = int(required_notice(starts_at=starts_at, temporary=temporary).total_seconds() // 3600)
        raise NoticeTooShort(
            zh=f"须提前至少 {hours} 小时通知用户，请推迟 starts_at。",
            en=f"Users need notice of at least {hours} hours; move starts_at.",
            field="starts_at",
        )


async def _check_network(work: UnitOfWork, *, feeder_id: str, section_ids: Sequence[str]) -> None:
    find = select(feeder.c.section_ids).where(feeder.c.feeder_id == feeder_id, sees_feeder(work))
    known = (await work.db.execute(find)).first()
    if known is None:
        raise NotFound(what_zh="馈线", what_en="feeder", field="feeder_id")
    if strange := sorted(set(section_ids) - set(known.section_ids)):
        raise InvalidInput(
            zh=f"馈线 {feeder_id} 没有区段 {strange[0]}，请核对 section_ids。",
            en=f"Feeder {feeder_id} has no section {strange[0]}; correct section_ids.",
            field="section_ids",
        )
