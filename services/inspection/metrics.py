"""What only inspection knows: how many hazards are open, and for how long."""

from datetime import datetime

from prometheus_client import Gauge
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.inspection.rules.hazard_state import OPEN
from services.inspection.tables import hazard

OPEN_HAZARDS = Gauge("keyline_inspection_open_hazards", "Hazards neither closed nor voided, by status.", ["outcome"])
HAZARD_AGE = Gauge("keyline_inspection_hazard_age_hours", "Age of the oldest open hazard, by status.", ["outcome"])


async def observe(connection: AsyncConnection, *, now: datetime) -> None:
    query = select(hazard.c.status, func.count(), func.min(hazard.c.found_at))
    rows = await connection.execute(query.where(hazard.c.status.in_(OPEN)).group_by(hazard.c.status))
    found = {status: (count, since) for status, count, since in rows}
    for status in OPEN:
        count, since = found.get(status, (0, now))
        OPEN_HAZARDS.labels(status).set(count)
        HAZARD_AGE.labels(status).set((now - since).total_seconds() / 3600)
