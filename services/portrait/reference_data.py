"""Dated data that ship with the service until the department enters its own."""

import csv
import json
from functools import lru_cache
from importlib.resources import files
from typing import Any

from services.portrait.rules.working_days import WorkingCalendar, calendar_from


def shipped(name: str) -> dict[str, Any]:
    """The document `data/<name>.json`. Raises FileNotFoundError."""
    document: dict[str, Any] = json.loads((files(__package__) / "data" / f"{name}.json").read_text("utf-8"))
    return document


@lru_cache(maxsize=1)
def working_calendar() -> WorkingCalendar:
    """Days off and make-up working days by the State Council's yearly notices (data/README.md)."""
    text = (files(__package__) / "data" / "cn_holidays_2007_2026.csv").read_text("utf-8")
    return calendar_from(csv.DictReader(text.splitlines()))
