"""A three-step inspection is stored whole: the visit, its items and the hazards of failed items in one transaction."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import insert, select

from services.contracts.inspection import HazardGrade
from services.inspection import events_out
from services.inspection.actions import hazards, plan
from services.inspection.actions.hazards import Place
from services.inspection.rules.checklist import STEPS, Item, Value, WrongValue, checklist, judge
from services.inspection.tables import asset, inspection_plan, site, visit, visit_item
from services.kernel.auth.grants import visible
from services.kernel.errors import Forbidden, InvalidInput, NotFound
from services.kernel.work import UnitOfWork

FEWEST_INSPECTORS = 2


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What was seen at one item; `value` is a truth, a number, a day (ISO) or a choice, as the item's kind says."""

    code: str
    value: Value
    asset_id: str | None = None
    note: str | None = None


@dataclass(frozen=True, kw_only=True)
class Submitted:
    visit_id: str
    hazard_ids: list[str]
    items_passed: int
    items_failed: int


async def submit_inspection(
    work: UnitOfWork, *, site_id: str, inspector_ids: Sequence[str], companion: str | None, answers: Sequence[Answer]
) -> Submitted:
    """Raises `NotFound`, `Forbidden` (caller is none of the inspectors) and `InvalidInput` naming the item."""
    _check_inspectors(work, inspector_ids)
    place, visit_id = await _site(work, site_id)
    await _check_assets(work, site_id=site_id, answers=answers)
    judged = [(answer, *_judged(work, n, answer)) for n, answer in enumerate(answers)]
    _check_steps([item for _, item, _ in judged])
    await work.db.execute(
        insert(visit).values(
            visit_id=visit_id, customer_id=place.customer_id, site_id=site_id,
            inspector_ids=sorted(inspector_ids), companion=companion, submitted_at=work.now,
        )
    )  # fmt: skip
    opened = await _store_items(work, place=place, visit_id=visit_id, inspector_ids=inspector_ids, judged=judged)
    failed = len([grade for _, _, grade in judged if grade is not None])
    result = Submitted(
        visit_id=visit_id,
        hazard_ids=list(dict.fromkeys(opened)),
        items_passed=len(judged) - failed,
        items_failed=failed,
    )
    await _say(work, place, result, inspector_ids)
    return result


async def _store_items(
    work: UnitOfWork,
    *,
    place: Place,
    visit_id: str,
    inspector_ids: Sequence[str],
    judged: Sequence[tuple[Answer, Item, HazardGrade | None]],
) -> list[str]:
    opened: list[str] = []
    rows: list[dict[str, Any]] = []
    for ordinal, (answer, item, grade) in enumerate(judged):
        hazard_id = None
        if grade is not None:
            hazard_id = await hazards.open_hazard(
                work, place=place, asset_id=answer.asset_id, visit_id=visit_id, item_code=item.code, grade=grade,
                finding=f"{item.title_zh} {item.title_en}: {answer.value} {item.unit}".strip()[:200],
                finder_ids=sorted(inspector_ids), suspected=False,
            )  # fmt: skip
            opened.append(hazard_id)
        rows.append(
            {
                "visit_id": visit_id,
                "ordinal": ordinal,
                "customer_id": place.customer_id,
                "item_code": answer.code,
                "asset_id": answer.asset_id,
                "value": answer.value,
                "grade": grade,
                "note": answer.note,
                "hazard_id": hazard_id,
            }
        )
    await work.db.execute(insert(visit_item), rows)
    return opened


async def _say(work: UnitOfWork, place: Place, result: Submitted, inspector_ids: Sequence[str]) -> None:
    work.emit(
        events_out.inspection_submitted(
            visit_id=result.visit_id, customer_id=place.customer_id, site_id=place.site_id,
            inspector_ids=inspector_ids, at=work.now, passed=result.items_passed, failed=result.items_failed,
        )
    )  # fmt: skip
    await plan.recalculate(work, site_id=place.site_id, done=True)
    await work.audit(
        action="inspection-submitted", object_type="visit", object_id=result.visit_id, owner_id=place.customer_id,
        after={"passed": result.items_passed, "failed": result.items_failed},
    )  # fmt: skip


def _check_inspectors(work: UnitOfWork, inspector_ids: Sequence[str]) -> None:
    if len(set(inspector_ids)) < FEWEST_INSPECTORS:
        raise InvalidInput(
            zh="现场检查须有至少两名不同的检查员，请补填 inspector_ids。",
            en="An inspection takes at least two different inspectors; complete inspector_ids.",
            field="inspector_ids",
        )
    if work.actor.person_id not in inspector_ids:
        raise Forbidden(
            zh="提交人须为本次检查的检查员之一。",
            en="Who submits must be one of the inspectors.",
            field="inspector_ids",
        )


async def _site(work: UnitOfWork, site_id: str) -> tuple[Place, str]:
    """The site and the id of its planned visit, under lock: two submissions of one site take turns."""
    query = (
        select(site, inspection_plan.c.visit_id)
        .join(inspection_plan, inspection_plan.c.site_id == site.c.site_id)
        .where(site.c.site_id == site_id, visible(site.c.customer_id, work=work))
        .with_for_update(of=inspection_plan)
    )
    row = (await work.db.execute(query)).first()
    if row is None:
        raise NotFound(what_zh="场所", what_en="site", field="site_id")
    place = Place(customer_id=row.customer_id, site_id=row.site_id, account_id=row.account_id)
    return place, row.visit_id


async def _check_assets(work: UnitOfWork, *, site_id: str, answers: Sequence[Answer]) -> None:
    found = await work.db.execute(select(asset.c.asset_id).where(asset.c.site_id == site_id))
    known = set(found.scalars())
    for n, answer in enumerate(answers):
        if answer.asset_id is not None and answer.asset_id not in known:
            raise NotFound(what_zh="场所的设备", what_en="asset of this site", field=f"items.{n}.asset_id")


def _judged(work: UnitOfWork, position: int, answer: Answer) -> tuple[Item, HazardGrade | None]:
    item = checklist().get(answer.code)
    if item is None or item.step not in STEPS:
        raise InvalidInput(
            zh=f"检查项目 {answer.code} 不存在，请使用 GET /inspection/v1/checklists 中的编码。",
            en=f"No checklist item {answer.code}; use the codes of GET /inspection/v1/checklists.",
            field=f"items.{position}.code",
        )
    try:
        return item, judge(item, value=answer.value, today=plan.today(work))
    except WrongValue as error:
        raise InvalidInput(
            zh=f"{item.code} {item.title_zh}：{error.zh}。",
            en=f"{item.code} {item.title_en}: {error.en}.",
            field=f"items.{position}.value",
        ) from error


def _check_steps(items: Sequence[Item]) -> None:
    if missing := [step for step in STEPS if step not in {item.step for item in items}]:
        raise InvalidInput(
            zh=f"检查分三步，缺少第 {missing[0]} 步的项目。",
            en=f"An inspection has three steps; step {missing[0]} has no item.",
            field="items",
        )
