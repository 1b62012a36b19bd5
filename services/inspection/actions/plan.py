"""Keeps the due date of a site in step with visits, hazards, classes and attention, and says every move."""

from datetime import date

from sqlalchemy import select, update

from services.inspection import events_out
from services.inspection.rules.hazard_state import OPEN
from services.inspection.rules.inspection_cycle import ZONE, Due, OpenHazard, cycle_months, due_date
from services.inspection.tables import customer, hazard, inspection_plan
from services.kernel.work import UnitOfWork


def today(work: UnitOfWork) -> date:
    return work.now.astimezone(ZONE).date()


async def recalculate(work: UnitOfWork, *, site_id: str, done: bool = False) -> None:
    """Move the due date to where the rules put it now; `done` ends the planned visit and plans the next.

    A site without plan (its customer has left) has nothing to move.
    """
    locked = select(inspection_plan).where(inspection_plan.c.site_id == site_id).with_for_update()
    plan = (await work.db.execute(locked)).first()
    if plan is None:
        return
    last_done = today(work) if done else plan.last_done_on
    visit_id = str(work.new_id(f"planned-visit|{site_id}")) if done else plan.visit_id
    due = await _due(work, site_id=site_id, customer_id=plan.customer_id, last_done=last_done)
    if not done and (due.on, due.reason) == (plan.due_on, plan.reason):
        return
    await work.db.execute(
        update(inspection_plan)
        .where(inspection_plan.c.site_id == site_id)
        .values(last_done_on=last_done, visit_id=visit_id, due_on=due.on, reason=due.reason)
    )
    say(work, site_id=site_id, customer_id=plan.customer_id, visit_id=visit_id, due=due)


def say(work: UnitOfWork, *, site_id: str, customer_id: str, visit_id: str, due: Due) -> None:
    work.emit(
        events_out.inspection_scheduled(
            visit_id=visit_id, customer_id=customer_id, site_id=site_id, due_on=due.on, reason=due.reason
        )
    )


async def _due(work: UnitOfWork, *, site_id: str, customer_id: str, last_done: date) -> Due:
    facts = (await work.db.execute(select(customer).where(customer.c.customer_id == customer_id))).one()
    open_ones = await work.db.execute(
        select(hazard.c.grade, hazard.c.found_at).where(
            hazard.c.site_id == site_id, hazard.c.status.in_(sorted(OPEN)), hazard.c.suspected.is_(False)
        )
    )
    day = today(work)
    return due_date(
        last_done=last_done,
        months=cycle_months(importance=facts.importance_grade, highest_kv=facts.highest_kv, day=day),
        factor=facts.cycle_factor,
        classes=facts.classes,
        attention=facts.attention_level,
        urgent_since=facts.urgent_since,
        hazards=[OpenHazard(grade=h.grade, found_on=h.found_at.astimezone(ZONE).date()) for h in open_ones],
        day=day,
    )
