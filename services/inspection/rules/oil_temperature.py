"""Top-oil temperature against its limits (DL/T 572): at a limit is still within it.

Rule top-oil-limits: 顶层油温超过限值视为疑似隐患。Oil above its limit opens a suspicion, at the limit none.
"""

from datetime import date

from services.inspection.rules.parameters import parameter
from services.inspection.rules.words import HazardGrade


def grade_of(celsius: float, *, day: date) -> HazardGrade | None:
    limits = parameter("top-oil-limits-celsius", day=day)
    if celsius > limits["critical"]:
        return "critical"
    return "general" if celsius > limits["general"] else None
