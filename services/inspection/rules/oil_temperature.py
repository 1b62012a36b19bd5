"""Top-oil temperature against its limits (DL/T 572): at a limit is still within it."""

from datetime import date

from services.inspection.rules.parameters import parameter
from services.inspection.rules.words import HazardGrade


def grade_of(celsius: float, *, day: date) -> HazardGrade | None:
    limits = parameter("top-oil-limits-celsius", day=day)
    if celsius > limits["critical"]:
        return "critical"
    return "general" if celsius > limits["general"] else None
