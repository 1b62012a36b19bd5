"""Score schemes as dated documents: threshold functions by shift class, weights by industry."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import Any

from services.portrait.rules.efficiency_score import ScoredIndicator, ScoreScheme
from services.portrait.rules.month_indicators import SCORED
from services.portrait.rules.shift_pattern import SHIFTS, Shift


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemeDocument:
    """One version, in force in [effective_from, effective_to)."""

    version: str
    status: str
    effective_from: date
    effective_to: date | None
    schemes: tuple[ScoreScheme, ...]

    def named(self, version: str) -> ScoreScheme | None:
        return next((scheme for scheme in self.schemes if scheme.version == version), None)

    def scheme_for(self, *, industry: str, shift: Shift) -> ScoreScheme | None:
        """The one whose industry is named most closely; None where even the general one is missing."""
        fitting = [
            (len(begin), scheme)
            for scheme in self.schemes
            if scheme.shift == shift
            for begin in scheme.industries
            if industry.startswith(begin)
        ]
        return max(fitting, key=lambda found: found[0])[1] if fitting else None


def scheme_document_from(document: Mapping[str, Any]) -> SchemeDocument:
    """Read a document such as services/portrait/data/score_scheme_demo.json.

    Raises ValueError or KeyError naming the indicator or group when a threshold function does not rise, a weight is
    not positive, an indicator is unknown, or two groups name the same industry.
    """
    named = [begin for group in document["weights"] for begin in group["industries"]]
    if doubled := {begin for begin in named if named.count(begin) > 1}:
        raise ValueError(f"two groups of weights name the industry {sorted(doubled)[0]!r}")
    thresholds = {code: _by_shift(code, given) for code, given in document["thresholds"].items()}
    until = document["effective_to"]
    return SchemeDocument(
        version=document["version"],
        status=document["status"],
        effective_from=date.fromisoformat(document["effective_from"]),
        effective_to=date.fromisoformat(until) if until else None,
        schemes=tuple(_scheme(document, group, thresholds, shift) for group in document["weights"] for shift in SHIFTS),
    )


def _scheme(
    document: Mapping[str, Any],
    group: Mapping[str, Any],
    thresholds: Mapping[str, Mapping[Shift, tuple[tuple[float, float], ...]]],
    shift: Shift,
) -> ScoreScheme:
    weights: Mapping[str, float] = group["weights"]
    for code, weight in weights.items():
        if code not in SCORED or code not in thresholds:
            raise ValueError(f"{code}: no such indicator, or no threshold function for it")
        if weight <= 0:
            raise ValueError(f"{code}: its weight must be positive; leave it out instead")
    return ScoreScheme(
        version=f"{document['version']}/{group['name']}/{shift}",
        industries=tuple(group["industries"]),
        shift=shift,
        indicators=tuple(
            ScoredIndicator(code=code, weight=float(weights[code]), points=thresholds[code][shift])
            for code in SCORED
            if code in weights
        ),
        minimum_completeness=float(document["minimum_completeness"]),
        minimum_weight=float(document["minimum_weight"]),
    )


def _by_shift(code: str, given: Any) -> dict[Shift, tuple[tuple[float, float], ...]]:
    """Points that hold for every shift class, or one list of points for each."""
    by_shift: Mapping[str, Any] = given if isinstance(given, dict) else dict.fromkeys(SHIFTS, given)
    found = {shift: tuple((float(x), float(y)) for x, y in by_shift[shift]) for shift in SHIFTS}
    for points in found.values():
        xs = [x for x, _ in points]
        if len(xs) < 2 or any(a >= b for a, b in pairwise(xs)):
            raise ValueError(f"{code}: needs at least two points of rising value")
        if any(not 0 <= y <= 100 for _, y in points):
            raise ValueError(f"{code}: a sub-score lies outside 0..100")
    return found
