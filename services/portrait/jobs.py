"""What time triggers in portrait."""

from sqlalchemy import select

from services.kernel.jobs import JobRun
from services.portrait import tables as t
from services.portrait.classes.analyses import execute, open_analyses
from services.portrait.classes.freezing import freeze_month
from services.portrait.customers.happenings import reassess_all
from services.portrait.customers.readings import adopt_registers
from services.portrait.in_month.telling import mark_all_due, mark_due, tell_next
from services.portrait.metering.changes import note_days
from services.portrait.metering.closing import close_chunk, open_closes
from services.portrait.metering.estimating import estimate_next
from services.portrait.metering.review import holders_this_month, review_changes
from services.portrait.metering.store import adopt_orphans

LOOKED_AT_ONCE = 50


async def review_days(run: JobRun) -> None:
    """Look at what changed, oldest first; days that change again meanwhile are looked at again."""
    turn = 0
    while True:
        async with run.chunk(f"turn-{turn}") as work:
            looked_at = await review_changes(work)
            await mark_due(work, customer_ids=await holders_this_month(work, days=looked_at))
        if not looked_at:
            return
        turn += 1


async def month_warnings(run: JobRun) -> None:
    turn, more = 0, 1
    while more:
        async with run.chunk(f"turn-{turn}") as work:
            more = await tell_next(work)
        turn += 1


async def look_at_all_months(run: JobRun) -> None:
    async with run.chunk() as work:
        await mark_all_due(work)


async def estimate_gaps(run: JobRun) -> None:
    last: str | None = ""
    while last is not None:
        async with run.chunk(f"after-{last}") as work:
            last = await estimate_next(work, after=last)


async def close_months(run: JobRun) -> None:
    """Compute the months that were closed; a close taken up again goes on behind the last customer done."""
    async with run.chunk("look") as work:
        months = await open_closes(work)
    for month in months:
        turn, more = 0, True
        while more:
            async with run.chunk(f"{month}|{turn}") as work:
                more = await close_chunk(work, month=month)
            turn += 1


async def adopt_readings(run: JobRun) -> None:
    """Readings stored while their usage point was being announced missed the announcement."""
    async with run.chunk() as work:
        await note_days(work, days=await adopt_orphans(await work.raw()))
        await adopt_registers(work)


async def freeze_class_borders(run: JobRun) -> None:
    """At the first look into a new month; all customers are then seen under the new borders."""
    async with run.chunk("freeze") as work:
        frozen = await freeze_month(work)
    if frozen:
        await refresh_profiles(run)


async def execute_analyses(run: JobRun) -> None:
    async with run.chunk("look") as work:
        asked = await open_analyses(work)
    for run_id in asked:
        async with run.chunk(run_id) as work:
            await execute(work, run_id=run_id)


async def refresh_profiles(run: JobRun) -> None:
    """Time alone changes profiles too: windows pass, terms begin and end, thresholds come into force."""
    last = ""
    while True:
        async with run.chunk(f"after-{last}") as work:
            c = t.customer.c.customer_id
            found = await work.db.execute(select(c).where(c > last).order_by(c).limit(LOOKED_AT_ONCE))
            ids = list(found.scalars())
            await reassess_all(work, customer_ids=ids)
        if not ids:
            return
        last = ids[-1]
