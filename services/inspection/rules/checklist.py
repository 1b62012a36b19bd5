"""The three-step checklist: limits and grades are data, judging a value is pure."""

from dataclasses import dataclass, field
from datetime import date
from functools import cache
from typing import Any, Literal

from services.inspection.rules.inspection_cycle import add_months
from services.inspection.rules.parameters import load
from services.inspection.rules.words import HazardGrade

Kind = Literal["bool", "number", "date", "choice", "automatic"]
Value = bool | float | date | str
STEPS = (1, 2, 3)
STUCK_MEASUREMENT, TOP_OIL = "M01", "D01"


class WrongValue(ValueError):
    """The value has not the item's kind; `expected` says what it has to be, in both languages."""

    def __init__(self, *, code: str, zh: str, en: str) -> None:
        super().__init__(f"{code}: {en}")
        self.zh, self.en = zh, en


@dataclass(frozen=True, kw_only=True)
class Item:
    """`passes` holds the limit; `above` and `choices` raise the grade by value."""

    code: str
    step: int
    title_zh: str
    title_en: str
    kind: Kind
    unit: str
    passes: dict[str, Any]
    grade: HazardGrade
    above: dict[str, HazardGrade] = field(default_factory=dict)
    choices: dict[str, HazardGrade] = field(default_factory=dict)


@cache
def checklist() -> dict[str, Item]:
    return {row["code"]: Item(**row) for row in load("checklist")["items"]}


def judge(item: Item, *, value: Value, today: date) -> HazardGrade | None:
    """The grade of the hazard that `value` is, or None when the item passes.

    Raises `WrongValue` when the value is not of the item's kind.
    """
    if item.kind == "bool":
        if not isinstance(value, bool):
            raise WrongValue(code=item.code, zh="须为 true 或 false", en="must be true or false")
        return None if value is item.passes["is"] else item.grade
    if item.kind == "number":
        return _judge_number(item, value)
    if item.kind == "date":
        return None if _date_holds(item, value, today) else item.grade
    return _judge_choice(item, value)


def _judge_number(item: Item, value: Value) -> HazardGrade | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise WrongValue(code=item.code, zh=f"须为数字（单位 {item.unit}）", en=f"must be a number in {item.unit}")
    too_low = "min" in item.passes and value < item.passes["min"]
    too_high = "max" in item.passes and value > item.passes["max"]
    if not (too_low or too_high):
        return None
    passed_limits = [limit for limit in item.above if value > float(limit)]
    return item.above[max(passed_limits, key=float)] if passed_limits else item.grade


def _date_holds(item: Item, value: Value, today: date) -> bool:
    try:
        day = value if isinstance(value, date) else date.fromisoformat(str(value))
    except ValueError as error:
        raise WrongValue(
            code=item.code, zh="须为日期，如 2026-05-01", en="must be a date such as 2026-05-01"
        ) from error
    if "max_age_months" in item.passes:
        return day <= today <= add_months(day, item.passes["max_age_months"])
    return day >= today


def _judge_choice(item: Item, value: Value) -> HazardGrade | None:
    if value in item.passes.get("one_of", ()):
        return None
    if str(value) not in item.choices:
        known = ", ".join([*item.passes.get("one_of", ()), *item.choices])
        raise WrongValue(code=item.code, zh=f"可填：{known}", en=f"must be one of {known}")
    return item.choices[str(value)]
