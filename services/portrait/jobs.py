"""What time triggers in portrait."""

from sqlalchemy import select

from services.kernel.jobs import JobRun
from services.portrait import tables as t
from services.portrait.customers.happenings import reassess_all
from services.portrait.customers.readings import adopt_registers
from services.portrait.metering.store import adopt_orphans
from services.portrait.scoring.runs import CHUNK, finish_run, next_chunk, open_runs, score_chunk


async def monthly_scores(run: JobRun) -> None:
    """Execute the runs that were asked for; a run taken up again goes on behind the last customer done."""
    async with run.chunk("look") as work:
        asked = await open_runs(work)
    for run_id, month in asked:
        while True:
            async with run.chunk(f"{run_id}|look") as work:
                done_up_to, customers = await next_chunk(work, run_id=run_id)
                if not customers:
                    await finish_run(work, run_id=run_id)
                    break
            async with run.chunk(f"{run_id}|{done_up_to}") as work:
                await score_chunk(work, run_id=run_id, month=month, customer_ids=customers)


async def adopt_readings(run: JobRun) -> None:
    """Readings stored while their usage point was being announced missed the announcement."""
    async with run.chunk() as work:
        await adopt_orphans(await work.raw())
        await adopt_registers(work)


async def refresh_profiles(run: JobRun) -> None:
    """Time alone changes profiles too: windows pass, terms begin and end, thresholds come into force."""
    last = ""
    while True:
        async with run.chunk(f"after-{last}") as work:
            c = t.customer.c.customer_id
            found = await work.db.execute(select(c).where(c > last).order_by(c).limit(CHUNK))
            ids = list(found.scalars())
            await reassess_all(work, customer_ids=ids)
        if not ids:
            return
        last = ids[-1]
