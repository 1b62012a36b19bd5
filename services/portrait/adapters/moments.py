"""Times of files, in the forms that Chinese and other systems write."""

import re
from datetime import UTC, date, datetime, timedelta

from services.portrait.adapters.readings import ZONE, CellError

_STAMP = re.compile(
    r"^(?P<y>\d{4})[-/年.]?(?P<m>\d{1,2})[-/月.]?(?P<d>\d{1,2})日?"
    r"(?:[T\s]*(?P<h>\d{1,2})[:：]?(?P<min>\d{2})(?:[:：](?P<s>\d{2})(?:\.\d+)?)?)?"
    r"\s*(?P<zone>Z|[+-]\d{2}:?\d{2})?\Z"
)


def moment_of(value: object) -> datetime:
    """Aware; without a zone it is Asia/Shanghai wall time. 24:00 is the beginning of the next day."""
    if isinstance(value, datetime):
        return value.astimezone(ZONE) if value.tzinfo else value.replace(tzinfo=ZONE)
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=ZONE)
    found = _STAMP.match("" if value is None else str(value).strip())
    if found is None:
        raise CellError("bad-time")
    hour, minute, second = int(found["h"] or 0), int(found["min"] or 0), int(found["s"] or 0)
    try:
        day = datetime(int(found["y"]), int(found["m"]), int(found["d"]), tzinfo=ZONE)
        clock = datetime(2000, 1, 1, hour % 24, minute, second, tzinfo=UTC)
    except ValueError:
        raise CellError("bad-time") from None
    if hour > 24 or (hour == 24 and (minute or second)):
        raise CellError("bad-time")
    moment = day + timedelta(hours=hour, minutes=clock.minute, seconds=clock.second)
    return _in_zone(moment, found["zone"])


def _in_zone(moment: datetime, zone: str | None) -> datetime:
    if zone is None:
        return moment
    if zone == "Z":
        return moment.replace(tzinfo=UTC).astimezone(ZONE)
    sign = -1 if zone[0] == "-" else 1
    hours, minutes = int(zone[1:3]), int(zone[-2:])
    offset = sign * timedelta(hours=hours, minutes=minutes)
    return (moment.replace(tzinfo=UTC) - offset).astimezone(ZONE)
