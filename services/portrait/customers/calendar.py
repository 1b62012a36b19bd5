"""Days and months of Asia/Shanghai."""

from datetime import date, datetime
from zoneinfo import ZoneInfo

_ZONE = ZoneInfo("Asia/Shanghai")


def local_day(moment: datetime) -> date:
    return moment.astimezone(_ZONE).date()


def month_start(month: str) -> date:
    """The first day of a month like `2026-03`."""
    return date.fromisoformat(f"{month}-01")


def shifted(day: date, *, months: int) -> date:
    """The first day of the month that lies `months` after (before, if negative) that of `day`."""
    years, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(years, month + 1, 1)


def month_name(day: date) -> str:
    return f"{day:%Y-%m}"


def months_up_to(last: date, *, count: int) -> list[str]:
    """Names of `count` months, oldest first, ending with that of `last`."""
    return [month_name(shifted(last, months=n - count + 1)) for n in range(count)]
