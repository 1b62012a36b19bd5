"""A scoring run: asked for by a person, executed in chunks of customers, each chunk once."""

from datetime import date

from sqlalchemy import insert, select, update

from services.kernel.errors import InvalidInput
from services.kernel.work import UnitOfWork
from services.portrait import tables as t
from services.portrait.customers.calendar import local_day, month_start, shifted
from services.portrait.customers.reassess import reassess
from services.portrait.scoring.month import score_customer, tariff_plan

CHUNK = 50


async def request_run(work: UnitOfWork, *, month: str) -> str:
    """The id of the run that the job will take up. Raises InvalidInput for months not ended or before the plan."""
    first = month_start(month)
    if shifted(first, months=1) > local_day(work.now):
        raise InvalidInput(
            zh=f"{month} 尚未结束，请选择已结束的月份。",
            en=f"{month} has not ended; name a month that has.",
            field="month",
        )
    plan = tariff_plan()
    if first < plan.effective_from:
        raise InvalidInput(
            zh=f"{month} 没有可用的分时电价方案（{plan.id} 自 {plan.effective_from} 起施行），请选择之后的月份。",
            en=f"No time-of-use plan holds in {month}: {plan.id} begins on {plan.effective_from}; name a later month.",
            field="month",
        )
    run_id = str(work.new_id(f"score-run|{month}"))
    await work.db.execute(
        insert(t.score_run).values(
            run_id=run_id, month=month, requested_by=work.actor.person_id, requested_at=work.now, done_up_to=""
        )
    )
    await work.audit(action="scores-requested", object_type="score-run", object_id=run_id, after={"month": month})
    return run_id


async def open_runs(work: UnitOfWork) -> list[tuple[str, date]]:
    """Runs not finished, oldest first: id and first day of the month."""
    r = t.score_run.c
    query = select(r.run_id, r.month).where(r.finished_at.is_(None)).order_by(r.requested_at, r.run_id)
    return [(row.run_id, month_start(row.month)) for row in await work.db.execute(query)]


async def next_chunk(work: UnitOfWork, *, run_id: str) -> tuple[str, list[str]]:
    """Where the run stands, and the customers that come next."""
    r, c = t.score_run.c, t.customer.c.customer_id
    done = (await work.db.execute(select(r.done_up_to).where(r.run_id == run_id))).scalar_one()
    found = await work.db.execute(select(c).where(c > done).order_by(c).limit(CHUNK))
    return done, list(found.scalars())


async def score_chunk(work: UnitOfWork, *, run_id: str, month: date, customer_ids: list[str]) -> None:
    for customer_id in customer_ids:
        if await score_customer(work, customer_id=customer_id, month=month, run_id=run_id):
            await reassess(work, customer_id=customer_id)
    await work.db.execute(update(t.score_run).where(t.score_run.c.run_id == run_id).values(done_up_to=customer_ids[-1]))


async def finish_run(work: UnitOfWork, *, run_id: str) -> None:
    await work.db.execute(update(t.score_run).where(t.score_run.c.run_id == run_id).values(finished_at=work.now))
