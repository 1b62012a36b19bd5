"""The words of a scenario: ids of its own, moments relative to now, events by example, parts of answers."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from services.contracts.envelope import Event
from services.contracts.examples import example_of
from services.contracts.registry import BY_TYPE
from services.kernel.clock import BUSINESS_ZONE

HERE = Path(__file__).parent
SCENARIOS = sorted(file.parent for file in HERE.glob("*/scenario.yaml"))
_ID = re.compile(r"\b([A-Z]{1,4}-[A-Z0-9]+)(?![\w.-])")
_MOMENT = re.compile(r"^(now|today)(?: ([+-]) (\d+) (minutes?|hours?|days?|months?))?$")
_KEPT = re.compile(r"\$\{(\w+)\}")


class Unreadable(ValueError):
    """A scenario that does not say what it means; the message names the folder and what to write."""


@dataclass(frozen=True, kw_only=True)
class Scenario:
    name: str
    title_zh: str
    title_en: str
    rules: tuple[str, ...]
    given: tuple[dict[str, Any], ...]
    when: tuple[dict[str, Any], ...]
    then: tuple[dict[str, Any], ...]


def load(folder: Path) -> Scenario:
    head = yaml.safe_load((folder / "scenario.yaml").read_text(encoding="utf-8"))
    parts: dict[str, tuple[dict[str, Any], ...]] = {}
    for part in ("given", "when", "then"):
        file = folder / f"{part}.yaml"
        steps = yaml.safe_load(file.read_text(encoding="utf-8")) if file.is_file() else None
        if not isinstance(steps, list) or not all(isinstance(step, dict) for step in steps):
            raise Unreadable(f"{folder.name}/{part}.yaml must be a list of steps")
        parts[part] = tuple(steps)
    if missing := {"title_zh", "title_en", "rules"} - head.keys():
        raise Unreadable(f"{folder.name}/scenario.yaml lacks {sorted(missing)}")
    return Scenario(
        name=folder.name, title_zh=head["title_zh"], title_en=head["title_en"], rules=tuple(head["rules"]), **parts
    )


@dataclass(kw_only=True)
class Words:
    """Turns what is written into what is sent: `C-1` becomes this scenario's own C-1, `now - 2 days` an instant."""

    own: str
    kept: dict[str, str]

    def read(self, value: Any, *, now: datetime) -> Any:
        if isinstance(value, Mapping):
            return {self.read(k, now=now): self.read(v, now=now) for k, v in value.items()}
        if isinstance(value, list):
            return [self.read(item, now=now) for item in value]
        if not isinstance(value, str):
            return value
        if moment := _MOMENT.match(value):
            return _instant(moment, now)
        return _ID.sub(rf"\1.{self.own}", _KEPT.sub(lambda m: self.kept[m.group(1)], value))

    def event(self, name: str, given: Mapping[str, Any], *, now: datetime, of: str | None = None) -> Event:
        """The committed example of the contract, with what is given in place of what it says."""
        contract = BY_TYPE.get(f"keyline.{name}.v1")
        if contract is None:
            raise Unreadable(f"no event {name}; write it as portrait.efficiency-scored")
        body = {**example_of(contract), **(things_of(of) if of else {}), **given}
        fields = {k: v for k, v in self.read(body, now=now).items() if k in contract.model_fields}
        return contract.model_validate_json(json.dumps(fields, default=str))


def things_of(customer_id: str) -> dict[str, str]:
    """What belongs to customer C-1: account A-1, usage point UP-1, site S-1, transformer T-1."""
    number = customer_id.removeprefix("C-")
    return {
        "customer_id": customer_id, "account_id": f"A-{number}", "usage_point_id": f"UP-{number}",
        "site_id": f"S-{number}", "asset_id": f"T-{number}",
    }  # fmt: skip


def _instant(moment: re.Match[str], now: datetime) -> str:
    base, sign, count, unit = moment.groups()
    step = {"minute": timedelta(minutes=1), "hour": timedelta(hours=1), "day": timedelta(days=1)}
    by = timedelta(0) if unit is None else int(count) * step[unit.rstrip("s")]
    at = now - by if sign == "-" else now + by
    return at.astimezone(BUSINESS_ZONE).date().isoformat() if base == "today" else at.isoformat()


def fits(found: Any, wanted: Any) -> bool:
    """Whether `found` has all that is wanted; `{contains: x}`, `{at least: n}` and `{at most: n}` loosen a value."""
    if isinstance(wanted, Mapping):
        match list(wanted):
            case ["contains"]:
                inside = found if isinstance(found, list) else [str(found)]
                return any(fits(f, wanted["contains"]) or wanted["contains"] in str(f) for f in inside)
            case ["at least"]:
                return found is not None and float(found) >= float(wanted["at least"])
            case ["at most"]:
                return found is not None and float(found) <= float(wanted["at most"])
        return isinstance(found, Mapping) and all(k in found and fits(found[k], v) for k, v in wanted.items())
    if isinstance(wanted, list):
        return isinstance(found, list) and len(found) == len(wanted) and all(map(fits, found, wanted))
    if isinstance(found, str) and isinstance(wanted, str) and "T" in wanted and found != wanted:
        return _same_instant(found, wanted)
    return bool(found == wanted)


def _same_instant(found: str, wanted: str) -> bool:
    """The same minute: seconds pass between what is written and what is done."""
    try:
        return abs(datetime.fromisoformat(found) - datetime.fromisoformat(wanted)) <= timedelta(minutes=1)
    except (ValueError, TypeError):
        return False
