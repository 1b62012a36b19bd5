"""Once a month the percentile borders are taken from the population, so that one event moves one customer."""

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert as upsert

from services.kernel.work import UnitOfWork
from services.portrait import tables as t
from services.portrait.classes.in_force import rules_in_force
from services.portrait.classes.population import everybody
from services.portrait.customers.calendar import local_day, month_name
from services.portrait.rules.class_population import freeze_borders


async def freeze_month(work: UnitOfWork) -> bool:
    """Freeze the borders of the current month if they are not. False when they are, or for too few customers."""
    today = local_day(work.now)
    p = t.class_percentile
    if (await work.db.execute(select(p.c.month).where(p.c.month == month_name(today)))).first():
        return False
    rules = await rules_in_force(work, day=today)
    wanted = rules.document["percentiles"]
    all_of_them = await everybody(await work.raw())
    if len(all_of_them.customer_ids) < wanted["customers_at_least"]:
        return False
    frozen = freeze_borders(population=all_of_them.population, top_share=wanted["top_share"])
    values = {
        "frozen_at": work.now,
        "customers": frozen.customers,
        "share": wanted["top_share"],
        "thresholds": dict(frozen.thresholds),
        "population": {code: list(spread) for code, spread in frozen.population.items()},
    }
    await work.db.execute(upsert(p).values(month=month_name(today), **values).on_conflict_do_nothing())
    await work.audit(action="borders-frozen", object_type="class-percentile", object_id=month_name(today), after=values)
    return True
