"""When a message that may wait is let through: not in the recipient's night."""

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo


@dataclass(frozen=True, kw_only=True)
class QuietHours:
    """From `begins` to `ends` by the clock of `zone`; over midnight when `begins` is the later one."""

    zone: str
    begins: time
    ends: time


def in_quiet(now: datetime, hours: QuietHours) -> bool:
    """`[begins, ends)`."""
    at = now.astimezone(ZoneInfo(hours.zone)).time()
    if hours.begins <= hours.ends:
        return hours.begins <= at < hours.ends
    return at >= hours.begins or at < hours.ends


def next_morning(now: datetime, hours: QuietHours) -> datetime:
    """The next end of the quiet hours, strictly after `now`; digests leave then too."""
    local = now.astimezone(ZoneInfo(hours.zone))
    end = local.replace(hour=hours.ends.hour, minute=hours.ends.minute, second=0, microsecond=0)
    return end if end > local else end + timedelta(days=1)
