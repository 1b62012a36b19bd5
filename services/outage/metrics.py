"""What only outage knows: how long before a planned outage its people were told."""

import math
from datetime import datetime

from prometheus_client import Gauge
from sqlalchemy import exists, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.outage.tables import notice, planned_affected, planned_outage

NOTICE_LEAD = Gauge(
    "keyline_outage_notice_lead_hours",
    "Shortest time from the first accepted message to the start, over planned outages still ahead; NaN without any.",
)
UNTOLD = Gauge(
    "keyline_outage_planned_untold", "Published planned outages ahead that touch customers and were told to nobody."
)


async def observe(connection: AsyncConnection, *, now: datetime) -> None:
    p = planned_outage.c
    told = (
        select(func.min(notice.c.accepted_at)).where(notice.c.outage_id == p.outage_id).correlate(planned_outage)
    ).scalar_subquery()
    touches = exists().where(planned_affected.c.outage_id == p.outage_id)
    query = select(p.starts_at, told.label("told_at")).where(p.status == "published", p.starts_at > now, touches)
    rows = (await connection.execute(query)).all()
    leads = [(r.starts_at - r.told_at).total_seconds() / 3600 for r in rows if r.told_at is not None]
    NOTICE_LEAD.set(min(leads, default=math.nan))
    UNTOLD.set(sum(r.told_at is None for r in rows))
