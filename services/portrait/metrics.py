"""What only portrait knows: how many customers the newest scoring run could score."""

from datetime import datetime

from prometheus_client import Gauge
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.portrait.tables import score, score_run

SCORED_SHARE = Gauge(
    "keyline_portrait_scored_share", "Customers with a score among those of the newest finished run, 0 to 1."
)
_counted_run = ""


async def observe(connection: AsyncConnection, *, now: datetime) -> None:
    """Counts a run once: a finished run no longer changes."""
    global _counted_run
    r = score_run.c
    newest = select(r.run_id).where(r.finished_at <= now).order_by(r.finished_at.desc()).limit(1)
    run_id = (await connection.execute(newest)).scalar()
    if run_id is None or run_id == _counted_run:
        return
    counts = select(func.count(), func.count(score.c.score)).where(score.c.run_id == run_id)
    asked, scored = (await connection.execute(counts)).one()
    if asked:
        SCORED_SHARE.set(scored / asked)
    _counted_run = run_id
