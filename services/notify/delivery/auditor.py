"""Looks every minute for what stands still: nothing is lost without somebody seeing it."""

from datetime import timedelta

from sqlalchemy import and_, delete, func, or_, select
from sqlalchemy.sql import ColumnElement

from services.kernel.jobs import JobRun
from services.kernel.work import UnitOfWork
from services.notify import metrics
from services.notify.delivery.claims import LEASE
from services.notify.delivery.notices import judge
from services.notify.tables import delivery, early_receipt, token_bucket

OVERDUE = timedelta(minutes=2)
"""So long after its time a step should have been taken; limits and open circuits show themselves elsewhere."""
RECEIPT_WAIT = timedelta(minutes=10)
_BUCKET_LIFE = timedelta(days=3)


async def audit(run: JobRun) -> None:
    async with run.chunk("look") as work:
        for name, count in (await findings(work)).items():
            metrics.AUDITOR.labels(name).set(count)
        metrics.OLDEST_PENDING.set(await _oldest(work))
        metrics.AUDITOR_LAST.set(work.now.timestamp())
    async with run.chunk("notices") as work:
        await judge(work)
    async with run.chunk("sweep") as work:
        old = work.now - _BUCKET_LIFE
        await work.db.execute(delete(token_bucket).where(token_bucket.c.refilled_at < old))
        await work.db.execute(delete(early_receipt).where(early_receipt.c.received_at < old))


async def findings(work: UnitOfWork) -> dict[str, int]:
    """What the reconciliation counts; `orphans` is promise 1: nothing may be past its end without an ending."""
    d, late = delivery.c, work.now - OVERDUE
    waiting = d.state.in_(("held", "pending", "sending", "accepted", "unknown", "merged"))
    questions: dict[str, ColumnElement[bool]] = {
        "overdue_step": and_(d.state == "pending", d.next_attempt_at < late, d.give_up_at > work.now),
        "stuck_lease": and_(d.state == "sending", d.next_attempt_at < late - LEASE),
        "digest_past_due": and_(d.state == "held", d.next_attempt_at < late),
        "accepted_without_receipt": and_(d.state == "accepted", d.accepted_at < work.now - RECEIPT_WAIT),
        "answer_lost": d.state == "unknown",
        "orphans": and_(
            waiting, d.give_up_at < work.now - RECEIPT_WAIT, or_(d.confirm_by.is_(None), d.confirm_by < late)
        ),
    }
    columns = [func.count().filter(condition).label(name) for name, condition in questions.items()]
    row = (await work.db.execute(select(*columns).where(waiting))).mappings().one()
    return {name: int(row[name]) for name in questions}


async def _oldest(work: UnitOfWork) -> float:
    d = delivery.c
    query = select(func.min(d.next_attempt_at)).where(d.state == "pending", d.next_attempt_at <= work.now)
    oldest = (await work.db.execute(query)).scalar()
    return 0.0 if oldest is None else (work.now - oldest).total_seconds()
