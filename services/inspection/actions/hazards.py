"""Opens hazards and takes them step by step to closed or voided; every step is said with the whole hazard."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from services.contracts.inspection import HazardGrade
from services.inspection import events_out
from services.inspection.actions import plan
from services.inspection.adapters.photos import Photo
from services.inspection.rules import hazard_state
from services.inspection.rules.hazard_state import AWAITING_REPAIR, OPEN, Step
from services.inspection.tables import hazard, hazard_step, photo
from services.kernel.auth.grants import visible
from services.kernel.errors import Conflict, NotFound, SelfApproval
from services.kernel.work import UnitOfWork

_STEP_ZH: dict[Step, str] = {"confirm": "确认", "void": "作废", "rectify": "整改", "verify": "复验", "close": "闭环"}


@dataclass(frozen=True, kw_only=True)
class Place:
    customer_id: str
    site_id: str
    account_id: str | None


async def open_hazard(
    work: UnitOfWork,
    *,
    place: Place,
    asset_id: str | None,
    visit_id: str | None,
    item_code: str,
    grade: HazardGrade,
    finding: str,
    finder_ids: list[str],
    suspected: bool,
) -> str:
    """The id of the hazard; an open one of the same site, asset and item is not opened a second time."""
    same = select(hazard.c.hazard_id).where(
        hazard.c.site_id == place.site_id,
        hazard.c.asset_id.is_not_distinct_from(asset_id),
        hazard.c.item_code == item_code,
        hazard.c.status.in_(sorted(OPEN)),
    )
    known = (await work.db.execute(same.order_by(hazard.c.hazard_id).limit(1))).scalar_one_or_none()
    if known is not None:
        return str(known)
    hazard_id = str(work.new_id(f"hazard|{place.site_id}|{asset_id}|{item_code}"))
    values = {
        "hazard_id": hazard_id, "customer_id": place.customer_id, "account_id": place.account_id,
        "site_id": place.site_id, "asset_id": asset_id, "visit_id": visit_id, "item_code": item_code,
        "version": 1, "status": "found", "suspected": suspected, "grade": grade, "finding": finding,
        "finder_ids": finder_ids, "found_at": work.now,
        "deadline": hazard_state.deadline_of(grade=grade, found_at=work.now),
    }  # fmt: skip
    opened = (await work.db.execute(upsert(hazard).values(values).on_conflict_do_nothing().returning(hazard))).first()
    if opened is None:  # the same suspicion was opened beside us
        return str((await work.db.execute(same)).scalar_one())
    await _note(work, opened, step="found", note=None, photo_id=None)
    work.emit(events_out.hazard_step("found", opened, at=work.now))
    await work.audit(action="hazard-found", object_type="hazard", object_id=hazard_id, owner_id=place.customer_id)
    return hazard_id


async def take_step(
    work: UnitOfWork, *, hazard_id: str, step: Step, note: str | None = None, evidence: Photo | None = None
) -> Row[Any]:
    """The hazard after `step`. Raises `NotFound`, `Conflict` (state), `SelfApproval` (own repair or finding)."""
    locked = select(hazard).where(hazard.c.hazard_id == hazard_id, visible(hazard.c.customer_id, work=work))
    before = (await work.db.execute(locked.with_for_update())).first()
    if before is None:
        raise NotFound(what_zh="隐患", what_en="hazard", field="hazard_id")
    status = _next_status(before, step)
    if step == "verify":
        _refuse_own(work, before)
    changed: dict[str, Any] = {"status": status, "version": before.version + 1}
    if step == "confirm":
        changed["suspected"] = False
    if step == "rectify":
        changed["rectified_by"] = sorted({*before.rectified_by, work.actor.person_id})
    after: Row[Any] = (
        await work.db.execute(update(hazard).where(hazard.c.hazard_id == hazard_id).values(changed).returning(hazard))
    ).one()
    photo_id = await _keep_photo(work, after, evidence) if evidence else None
    await _note(work, after, step=step, note=note, photo_id=photo_id)
    work.emit(events_out.hazard_step(step, after, at=work.now))
    await plan.recalculate(work, site_id=after.site_id)
    await work.audit(
        action=f"hazard-{step}", object_type="hazard", object_id=hazard_id, owner_id=after.customer_id,
        before=dict(before._mapping), after=dict(after._mapping), reason=note,
    )  # fmt: skip
    return after


async def mark_notified(work: UnitOfWork, *, hazard_id: str) -> None:
    """The first message about a fresh hazard has reached one of the customer's people; later ones change nothing."""
    told = (
        await work.db.execute(
            update(hazard)
            .where(hazard.c.hazard_id == hazard_id, hazard.c.status == "found")
            .values(status="notified", version=hazard.c.version + 1)
            .returning(hazard)
        )
    ).first()
    if told is None:
        return
    await _note(work, told, step="notified", note=None, photo_id=None)
    work.emit(events_out.hazard_step("notified", told, at=work.now))
    await work.audit(action="hazard-notified", object_type="hazard", object_id=hazard_id, owner_id=told.customer_id)


async def mark_overdue(work: UnitOfWork, *, limit: int) -> int:
    """Say at most `limit` hazards whose deadline has passed before they were rectified; how many were said."""
    late = (
        select(hazard.c.hazard_id)
        .where(
            hazard.c.overdue_since.is_(None),
            hazard.c.status.in_(sorted(AWAITING_REPAIR)),
            hazard.c.deadline < work.now,
        )
        .order_by(hazard.c.hazard_id)
        .limit(limit)
        .with_for_update()
    )
    ids = list((await work.db.execute(late)).scalars())
    marked = await work.db.execute(
        update(hazard)
        .where(hazard.c.hazard_id.in_(ids))
        .values(overdue_since=work.now, version=hazard.c.version + 1)
        .returning(hazard)
    )
    for row in sorted(marked, key=lambda r: str(r.hazard_id)):
        await _note(work, row, step="overdue", note=None, photo_id=None)
        work.emit(events_out.hazard_step("overdue", row, at=work.now))
        await work.audit(
            action="hazard-overdue", object_type="hazard", object_id=row.hazard_id, owner_id=row.customer_id
        )
    return len(ids)


def _next_status(row: Row[Any], step: Step) -> str:
    try:
        return hazard_state.next_status(step=step, status=row.status, suspected=row.suspected)
    except hazard_state.WrongStep as error:
        possible = ", ".join(error.allowed) or "nothing"
        allowed_zh = "、".join(_STEP_ZH[s] for s in error.allowed) or "无"
        raise Conflict(
            zh=f"隐患当前状态为 {error.status}，不能{_STEP_ZH[step]}；可执行：{allowed_zh}。",
            en=f"The hazard is {error.status} and takes no {step}; possible now: {possible}.",
            field="status",
        ) from error


def _refuse_own(work: UnitOfWork, row: Row[Any]) -> None:
    if not hazard_state.may_verify(
        person_id=work.actor.person_id, grade=row.grade, rectified_by=row.rectified_by, finders=row.finder_ids
    ):
        raise SelfApproval(
            zh="整改人不得复验；重大、较大隐患的发现人也不得复验，请由另一名检查员复验。",
            en="Who rectified it may not verify it, nor who found a critical or serious one; ask another inspector.",
            field="hazard_id",
        )


async def _keep_photo(work: UnitOfWork, row: Row[Any], evidence: Photo) -> str:
    photo_id = str(work.new_id(f"photo|{row.hazard_id}|{row.version}"))
    await work.db.execute(
        insert(photo).values(
            photo_id=photo_id, hazard_id=row.hazard_id, customer_id=row.customer_id, jpeg=evidence.jpeg,
            width=evidence.width, height=evidence.height, taken_in_at=work.now,
        )
    )  # fmt: skip
    return photo_id


async def _note(work: UnitOfWork, row: Row[Any], *, step: str, note: str | None, photo_id: str | None) -> None:
    await work.db.execute(
        insert(hazard_step).values(
            hazard_id=row.hazard_id, version=row.version, customer_id=row.customer_id, step=step,
            person_id=work.actor.person_id, at=work.now, note=note, photo_id=photo_id,
        )
    )  # fmt: skip
