"""From typed facts to the words of a language; the facts of each event class are declared beside its texts."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from importlib.resources import files
from typing import Any, Literal

from services.kernel.clock import BUSINESS_ZONE

FactType = Literal[
    "text", "accounts", "moment", "day", "month", "number", "percent", "energy", "power", "yuan", "flag", "grade",
    "classes", "application-kind", "application-stage", "usage-warning", "usage-warning-kind",
    "assignment-purpose",
    "conversation-topic", "conversation-level",
]  # fmt: skip


class WrongFact(ValueError):
    """A happening brought a fact that is missing or not of its declared type; names it."""


@lru_cache(maxsize=1)
def _words() -> dict[str, dict[str, tuple[str, str]]]:
    read: dict[str, dict[str, tuple[str, str]]] = json.loads(
        files("services.notify.templates").joinpath("words.json").read_text("utf-8")
    )
    return read


def context_of(
    declared: Mapping[str, FactType], *, facts: Mapping[str, Any], language: str, account_ids: Sequence[str]
) -> dict[str, Any]:
    """What a template may name. Raises `WrongFact`."""
    context: dict[str, Any] = {}
    for name, kind in declared.items():
        if kind == "accounts":
            context[name] = ("、" if language == "zh" else ", ").join(account_ids)
            context["account_list"] = list(account_ids)
            continue
        if facts.get(name) is None:
            raise WrongFact(f"{name}: missing")
        try:
            context[name] = in_words(facts[name], kind, language)
        except (ValueError, ArithmeticError, LookupError, TypeError) as error:
            raise WrongFact(f"{name}: {facts[name]!r} is no {kind}") from error
        if kind == "energy":
            context[f"{name}_number"] = _number(facts[name])
    return context


def names_of(declared: Mapping[str, FactType]) -> frozenset[str]:
    """All names that `context_of` provides."""
    names = set(declared)
    for name, kind in declared.items():
        if kind == "accounts":
            names.add("account_list")
        elif kind == "energy":
            names.add(f"{name}_number")
    return frozenset(names)


def in_words(value: Any, kind: FactType, language: str) -> Any:
    """Raises ValueError, LookupError or TypeError for what is no such fact."""
    column = 0 if language == "zh" else 1
    if kind in _words():
        known = _words()[kind]
        if kind == "classes":
            return ("、", ", ")[column].join(known[v][column] for v in value) or "-"
        return known[value][column]
    return _FORMATS[kind](value, language)


def _text(value: Any, language: str) -> str:
    return str(value)


@lru_cache(maxsize=1_000)
def _moment(value: str, language: str) -> str:
    local = datetime.fromisoformat(value).astimezone(BUSINESS_ZONE)
    return local.strftime("%Y年%m月%d日 %H:%M" if language == "zh" else "%Y-%m-%d %H:%M")


def _day(value: Any, language: str) -> str:
    return date.fromisoformat(value).strftime("%Y年%m月%d日" if language == "zh" else "%Y-%m-%d")


def _number(value: Any, language: str = "zh") -> str:
    number = Decimal(str(value))
    return f"{number.normalize():f}" if number else "0"


def _percent(value: Any, language: str) -> str:
    return f"{Decimal(str(value)) * 100:.0f}%"


def _energy(value: Any, language: str) -> str:
    return f"{_number(value)} {'千瓦时' if language == 'zh' else 'kWh'}"


def _power(value: Any, language: str) -> str:
    return f"{Decimal(str(value)):.1f} {'千瓦' if language == 'zh' else 'kW'}"


def _yuan(value: Any, language: str) -> str:
    return f"{Decimal(str(value)):.2f}元" if language == "zh" else f"¥{Decimal(str(value)):.2f}"


def _flag(value: Any, language: str) -> bool:
    if not isinstance(value, bool):
        raise TypeError("true or false")
    return value


_FORMATS: dict[str, Callable[[Any, str], Any]] = {
    "text": _text, "month": _text, "moment": _moment, "day": _day, "number": _number, "percent": _percent,
    "energy": _energy, "power": _power, "yuan": _yuan, "flag": _flag,
}  # fmt: skip
