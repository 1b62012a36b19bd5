"""Readings of equipment raise suspicions: a stuck measurement, an oil temperature beyond its limit."""

from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from services.contracts.inspection import HazardGrade
from services.contracts.metering import EquipmentReadingRecorded
from services.inspection.actions import hazards, plan
from services.inspection.actions.hazards import Place
from services.inspection.rules import oil_temperature
from services.inspection.rules.checklist import STUCK_MEASUREMENT, TOP_OIL, checklist
from services.inspection.rules.frozen_measurement import Run, follow
from services.inspection.rules.parameters import parameter
from services.inspection.tables import asset, equipment_state, site
from services.kernel.wire import WaitingFor
from services.kernel.work import UnitOfWork


async def take_readings(work: UnitOfWork, *, reading: EquipmentReadingRecorded) -> None:
    """Raises `WaitingFor` the asset until the archive has named its site."""
    found = (
        await work.db.execute(
            select(asset.c.customer_id, asset.c.site_id, site.c.account_id)
            .join(site, site.c.site_id == asset.c.site_id)
            .where(asset.c.asset_id == reading.asset_id)
        )
    ).first()
    if found is None:
        raise WaitingFor("asset", reading.asset_id)
    place = Place(customer_id=found.customer_id, site_id=found.site_id, account_id=found.account_id)
    if reading.quantity != "top-oil-temperature":
        return
    known = await _run(work, reading)
    points = list(zip(reading.instants(), reading.values, strict=True))
    await _watch_frozen(work, reading, place, known, points)
    await _watch_limit(work, reading, place, known, points)


async def _watch_frozen(
    work: UnitOfWork, reading: EquipmentReadingRecorded, place: Place, known: Run | None,
    points: list[tuple[datetime, float | None]],
) -> None:  # fmt: skip
    day = plan.today(work)
    run, stuck = follow(
        known,
        readings=points,
        threshold=timedelta(hours=parameter("frozen-run-hours", day=day)),
        largest_gap=timedelta(hours=parameter("frozen-run-largest-gap-hours", day=day)),
    )
    if run is not None:
        await _keep(work, reading, place.customer_id, run)
    for frozen in stuck:
        finding = f"自 {frozen.since.isoformat()} 起读数一直为 {frozen.value:g} unchanged since then"
        grade = checklist()[STUCK_MEASUREMENT].grade
        await _suspect(
            work, asset_id=reading.asset_id, place=place, item_code=STUCK_MEASUREMENT, grade=grade, finding=finding
        )


async def _watch_limit(
    work: UnitOfWork, reading: EquipmentReadingRecorded, place: Place, known: Run | None,
    points: list[tuple[datetime, float | None]],
) -> None:  # fmt: skip
    """Only what is newer than the last reading counts, so a repeated block raises nothing again."""
    fresh = [value for at, value in points if value is not None and (known is None or at > known.last_at)]
    grade = oil_temperature.grade_of(max(fresh), day=plan.today(work)) if fresh else None
    if grade is not None:
        finding = f"顶层油温 top-oil temperature {max(fresh):g} °C"
        await _suspect(work, asset_id=reading.asset_id, place=place, item_code=TOP_OIL, grade=grade, finding=finding)


async def _suspect(
    work: UnitOfWork, *, asset_id: str, place: Place, item_code: str, grade: HazardGrade, finding: str
) -> None:
    await hazards.open_hazard(
        work, place=place, asset_id=asset_id, visit_id=None, item_code=item_code, grade=grade, finding=finding,
        finder_ids=[], suspected=True,
    )  # fmt: skip


async def _run(work: UnitOfWork, reading: EquipmentReadingRecorded) -> Run | None:
    query = select(equipment_state).where(
        equipment_state.c.asset_id == reading.asset_id, equipment_state.c.quantity == reading.quantity
    )
    row = (await work.db.execute(query.with_for_update())).first()
    if row is None:
        return None
    return Run(
        value=row.last_value, since=row.frozen_since, last_at=row.last_at, count=row.readings, reported=row.reported
    )


async def _keep(work: UnitOfWork, reading: EquipmentReadingRecorded, customer_id: str, run: Run) -> None:
    values = {
        "customer_id": customer_id, "last_value": run.value, "frozen_since": run.since, "last_at": run.last_at,
        "readings": run.count, "reported": run.reported,
    }  # fmt: skip
    statement = insert(equipment_state).values(asset_id=reading.asset_id, quantity=reading.quantity, **values)
    await work.db.execute(statement.on_conflict_do_update(index_elements=["asset_id", "quantity"], set_=values))
