"""Dated parameters of the rules: the newest entry whose `valid_from` is not later than the day."""

import json
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

_DATA = Path(__file__).resolve().parent.parent / "data"


class NoParameterInForce(LookupError):
    """The parameter file has no entry for that day."""


@cache
def load(name: str) -> Any:
    """A data file of this service, by its name without ending."""
    return json.loads((_DATA / f"{name}.json").read_text(encoding="utf-8"))


def parameter(name: str, *, day: date) -> Any:
    entries = [e for e in load("parameters")[name] if date.fromisoformat(e["valid_from"]) <= day]
    if not entries:
        raise NoParameterInForce(f"{name} on {day}")
    return max(entries, key=lambda e: str(e["valid_from"]))["value"]
