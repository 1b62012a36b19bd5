"""How long before a planned outage the users must know: 7 days, 24 hours for temporary maintenance.

Rule planned-outage-notice: 计划停电提前 7 天、临时检修提前 24 小时通知。A plan that comes later is refused.
"""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from services.outage.rules.parameters import Name, value_of

_ZONE = ZoneInfo("Asia/Shanghai")


def required_notice(*, starts_at: datetime, temporary: bool) -> timedelta:
    name: Name = "temporary-notice" if temporary else "planned-notice"
    return value_of(name, day=starts_at.astimezone(_ZONE).date())


def in_time(*, now: datetime, starts_at: datetime, temporary: bool) -> bool:
    """Whether an outage published `now` keeps the notice; exactly at the limit it does."""
    return starts_at - now >= required_notice(starts_at=starts_at, temporary=temporary)
