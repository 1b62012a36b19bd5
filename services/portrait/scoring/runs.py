"""A scoring run: asked for by a person, cut into chunks of customers that any replica may take, each done once.

A chunk is taken by locking its row (others skip it), worked on and marked as done in one transaction. Whoever dies
lets go of the row with nothing written, and whoever was given up on cannot commit any more: the lock is the fence.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, func, insert, or_, select, update

from services.kernel.auth.grants import visible
from services.kernel.errors import InvalidInput, NotFound
from services.kernel.work import Cause, UnitOfWork
from services.portrait import tables as t
from services.portrait.customers.calendar import local_day, month_start, shifted
from services.portrait.reference_data import shipped
from services.portrait.rules.time_of_use import TouPlan, plan_from
from services.portrait.scoring.compute import ScoringPlan
from services.portrait.scoring.dated_documents import schemes_named, schemes_on
from services.portrait.scoring.engine import score_range
from services.portrait.scoring.publish import publish
from services.portrait.scoring.tell import tell_range

PLAN, SCORE, PUBLISH, TELL = range(4)
PHASES = ("plan", "score", "publish", "tell")
CUSTOMER_MONTHS = 24_000
"""Customers of a chunk times months: about 60 MB with its arrays, a fraction of a second of work."""
TOLD_AT_ONCE = 100
MOST_MONTHS = 24


@dataclass(frozen=True, kw_only=True)
class ClaimedChunk:
    run: Row[Any]
    phase: int
    ordinal: int
    after_id: str
    up_to_id: str | None


@lru_cache(maxsize=1)
def tariff_plan() -> TouPlan:
    return plan_from(shipped("tou_chongqing_2021_14"))


async def request_run(
    work: UnitOfWork,
    *,
    month: str,
    from_month: str | None = None,
    customer_id: str | None = None,
    trial: bool = False,
    chunk_customers: int | None = None,
) -> str:
    """The id of a run over [from_month, month] that the replicas will take up, `chunk_customers` at a time.

    Raises InvalidInput for months not ended, before the tariff plan, or more than MOST_MONTHS.
    """
    last, first = month_start(month), month_start(from_month or month)
    _check_months(first, last, today=local_day(work.now))
    document = await schemes_on(work, day=last)
    run_id = work.new_id(f"score-run|{first}|{last}|{customer_id}")
    await work.db.execute(
        insert(t.score_run).values(
            run_id=run_id, from_month=f"{first:%Y-%m}", month=month, customer_id=customer_id, trial=trial,
            chunk_customers=chunk_customers or CUSTOMER_MONTHS // _months_between(first, last),
            scheme_version=document.version, schemes=[scheme.version for scheme in document.schemes],
            requested_by=work.actor.person_id, requested_at=work.now,
        )
    )  # fmt: skip
    await work.db.execute(
        insert(t.score_chunk).values(run_id=run_id, phase=PLAN, ordinal=0, after_id="", up_to_id=None)
    )
    await work.audit(
        action="scores-requested", object_type="score-run", object_id=str(run_id), owner_id=customer_id,
        after={"from_month": f"{first:%Y-%m}", "month": month, "trial": trial},
    )  # fmt: skip
    return str(run_id)


def _months_between(first: date, last: date) -> int:
    return (last.year - first.year) * 12 + last.month - first.month + 1


def _check_months(first: date, last: date, *, today: date) -> None:
    if shifted(last, months=1) > today:
        raise InvalidInput(
            zh=f"{last:%Y-%m} 尚未结束，请选择已结束的月份。",
            en=f"{last:%Y-%m} has not ended; name a month that has.",
            field="month",
        )
    if not 1 <= _months_between(first, last) <= MOST_MONTHS:
        raise InvalidInput(
            zh=f"起始月份应不晚于结束月份，且不超过 {MOST_MONTHS} 个月。",
            en=f"Begin not later than the last month and span at most {MOST_MONTHS} months.",
            field="from_month",
        )
    plan = tariff_plan()
    if first < plan.effective_from:
        raise InvalidInput(
            zh=f"{first:%Y-%m} 没有可用的分时电价方案（{plan.id} 自 {plan.effective_from} 起施行），请选择之后的月份。",
            en=f"No time-of-use plan holds in {first:%Y-%m}: {plan.id} begins on {plan.effective_from};"
            " name a later month.",
            field="month",
        )


async def claim_chunk(work: UnitOfWork, *, run_id: UUID | None = None) -> ClaimedChunk | None:
    """The next chunk that nobody works on, of the run asked for first; its phase begins when the ones before ended."""
    c, r, earlier = t.score_chunk.c, t.score_run.c, t.score_chunk.alias("earlier")
    query = (
        select(t.score_chunk)
        .join(t.score_run, r.run_id == c.run_id)
        .where(
            r.finished_at.is_(None),
            c.done_at.is_(None),
            ~select(1)
            .where(earlier.c.run_id == c.run_id, earlier.c.phase < c.phase, earlier.c.done_at.is_(None))
            .exists(),
        )
        .order_by(r.requested_at, r.run_id, c.phase, c.ordinal)
        .limit(1)
        .with_for_update(of=t.score_chunk, skip_locked=True)
    )
    row = (await work.db.execute(query if run_id is None else query.where(c.run_id == run_id))).first()
    if row is None:
        return None
    run = (await work.db.execute(select(t.score_run).where(r.run_id == row.run_id))).one()
    # Ids derive from the chunk, whichever replica takes it and however often.
    work.cause = Cause(id=f"{row.run_id}|{row.phase}|{row.ordinal}", source="score-run", type=PHASES[row.phase])
    return ClaimedChunk(run=run, phase=row.phase, ordinal=row.ordinal, after_id=row.after_id, up_to_id=row.up_to_id)


async def work_on(work: UnitOfWork, chunk: ClaimedChunk, *, holder: str) -> None:
    """Do the chunk and mark it as done; with the last one the run is finished."""
    peers: bytes | None = None
    match chunk.phase:
        case 0:
            customers = await _plan(work, chunk)
        case 1:
            plan = await scoring_plan(work, run=chunk.run)
            customers, peers = await score_range(
                await work.raw(), plan=plan, after_id=chunk.after_id, up_to_id=chunk.up_to_id
            )
        case 2:
            customers = await publish(work, run=chunk.run, months=(await scoring_plan(work, run=chunk.run)).months)
        case _:
            customers = await tell_range(work, run=chunk.run, after_id=chunk.after_id, up_to_id=chunk.up_to_id)
    c = t.score_chunk.c
    await work.db.execute(
        update(t.score_chunk)
        .where(c.run_id == chunk.run.run_id, c.phase == chunk.phase, c.ordinal == chunk.ordinal)
        .values(customers=customers, peers=peers, done_by=holder, done_at=func.clock_timestamp())
    )
    await _finish_with_the_last(work, chunk)


async def scoring_plan(work: UnitOfWork, *, run: Row[Any]) -> ScoringPlan:
    """The same for all chunks of a run, whatever is confirmed meanwhile."""
    schemes = await schemes_named(work, version=run.scheme_version)
    assert schemes is not None, run.scheme_version
    first, last = month_start(run.from_month), month_start(run.month)
    return ScoringPlan(
        run_id=run.run_id,
        months=tuple(shifted(first, months=n) for n in range(_months_between(first, last))),
        tariff=tariff_plan(),
        # One scheme for all months of a run, so that they compare.
        schemes=schemes,
    )


_Ranges = dict[int, list[tuple[str, str | None]]]


async def _plan(work: UnitOfWork, chunk: ClaimedChunk) -> int:
    """Cut the customers into ranges; whoever joins later falls into one of them."""
    run = chunk.run
    if run.customer_id is not None:
        c = t.customer.c.customer_id
        before = (await work.db.execute(select(func.max(c)).where(c < run.customer_id))).scalar_one_or_none()
        ranges: _Ranges = {phase: [(before or "", run.customer_id)] for phase in (SCORE, TELL)}
    else:
        ranges = {
            SCORE: await _ranges(work, size=run.chunk_customers),
            TELL: await _ranges(work, size=min(run.chunk_customers, TOLD_AT_ONCE)),
        }
    ranges[PUBLISH] = [("", None)]
    if run.trial:
        del ranges[TELL]
    rows = [
        {"run_id": run.run_id, "phase": phase, "ordinal": n, "after_id": after, "up_to_id": up_to}
        for phase, found in ranges.items()
        for n, (after, up_to) in enumerate(found)
    ]
    await work.db.execute(insert(t.score_chunk), rows)
    return (await work.db.execute(select(func.count()).select_from(t.customer))).scalar_one()


async def _ranges(work: UnitOfWork, *, size: int) -> list[tuple[str, str | None]]:
    c = t.customer.c.customer_id
    numbered = select(c, func.row_number().over(order_by=c).label("n")).subquery()
    found = await work.db.execute(select(numbered.c.customer_id).where(numbered.c.n % size == 0).order_by(numbered.c.n))
    borders = list(found.scalars())
    return list(zip(["", *borders], [*borders, None], strict=True))


async def _finish_with_the_last(work: UnitOfWork, chunk: ClaimedChunk) -> None:
    r, c = t.score_run.c, t.score_chunk.c
    # Under the run's lock the last two chunks cannot both take each other for unfinished.
    await work.db.execute(select(r.run_id).where(r.run_id == chunk.run.run_id).with_for_update())
    left = select(c.ordinal).where(c.run_id == chunk.run.run_id, c.done_at.is_(None)).limit(1)
    if (await work.db.execute(left)).first() is None:
        await work.db.execute(update(t.score_run).where(r.run_id == chunk.run.run_id).values(finished_at=work.now))


def visible_runs(work: UnitOfWork) -> ColumnElement[bool]:
    """Runs over all customers, and those on demand for a customer whom the caller may see."""
    owner = t.score_run.c.customer_id
    return or_(owner.is_(None), visible(owner, work=work))


async def run_named(work: UnitOfWork, *, run_id: UUID) -> Row[Any]:
    """Raises NotFound, also for a run on demand for a customer outside the caller's scope."""
    row = (await work.db.execute(select(t.score_run).where(t.score_run.c.run_id == run_id, visible_runs(work)))).first()
    if row is None:
        raise NotFound(what_zh="评分任务", what_en="score run", field="run_id")
    return row


@dataclass(frozen=True, kw_only=True)
class PhaseProgress:
    phase: str
    chunks: int
    done: int
    customers: int
    seconds: float | None
    """Between the first and the last chunk done."""


async def progress_of(work: UnitOfWork, *, run_id: UUID) -> list[PhaseProgress]:
    c = t.score_chunk.c
    found = await work.db.execute(
        select(
            c.phase, func.count(), func.count(c.done_at), func.coalesce(func.sum(c.customers), 0),
            func.max(c.done_at) - func.min(c.done_at),
        )
        .where(c.run_id == run_id)
        .group_by(c.phase)
        .order_by(c.phase)
    )  # fmt: skip
    return [
        PhaseProgress(
            phase=PHASES[phase], chunks=chunks, done=done, customers=int(customers),
            seconds=spent / timedelta(seconds=1) if spent is not None else None,
        )
        for phase, chunks, done, customers, spent in found
    ]  # fmt: skip
