"""Numbers of the outage rules as dated data: value, clause, and whether the text behind it was checked."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

Name = Literal["planned-notice", "temporary-notice", "sustained-over", "repeat-window"]
Status = Literal["checked", "needs_verification", "demo"]


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """In force in [valid_from, valid_to); open where there is no end."""

    name: Name
    value: timedelta
    valid_from: date
    valid_to: date | None
    clause: str
    status: Status


class NoParameter(LookupError):
    """No value of the parameter is in force on the day."""


PARAMETERS: tuple[Parameter, ...] = (
    Parameter(
        name="planned-notice",
        value=timedelta(days=7),
        valid_from=date(1996, 9, 1),
        valid_to=None,
        clause="电力供应与使用条例 §28；供电监管办法 §13",
        status="checked",
    ),
    Parameter(
        name="temporary-notice",
        value=timedelta(hours=24),
        valid_from=date(1996, 9, 1),
        valid_to=None,
        clause="电力供应与使用条例 §28；供电监管办法 §13",
        status="checked",
    ),
    Parameter(
        # IEEE 1366 draws the border at 5 minutes; the house counts after DL/T.
        name="sustained-over",
        value=timedelta(minutes=3),
        valid_from=date(1990, 1, 1),
        valid_to=None,
        clause="DL/T 836.1 短时停电",
        status="needs_verification",
    ),
    Parameter(
        name="repeat-window",
        value=timedelta(days=60),
        valid_from=date(1990, 1, 1),
        valid_to=None,
        clause="客户重复停电统计窗口",
        status="demo",
    ),
)


def value_of(name: Name, *, day: date) -> timedelta:
    """Raises `NoParameter` when nothing is in force on `day`."""
    for parameter in PARAMETERS:
        ends = parameter.valid_to
        if parameter.name == name and parameter.valid_from <= day and (ends is None or day < ends):
            return parameter.value
    raise NoParameter(f"{name} on {day}")
