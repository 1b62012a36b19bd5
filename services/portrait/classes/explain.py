"""Why a customer is in a class, in a form that can be stored, shown and compared with the one before."""

from collections.abc import Mapping
from typing import Any

from services.portrait.rules.classes import Classification, Verdict


def verdicts_said(classes: Classification) -> list[dict[str, Any]]:
    """All four verdicts with rule version, values, thresholds and margins, also of those that do not hold."""
    return [_verdict_said(verdict) for verdict in classes.verdicts]


def _verdict_said(verdict: Verdict) -> dict[str, Any]:
    return {
        "name": verdict.name,
        "holds": verdict.holds,
        "strength": verdict.strength,
        "rule_version": verdict.rule_version,
        "criteria": [
            {
                "code": c.code,
                "value": c.value,
                "threshold": c.threshold,
                "holds": c.holds,
                "margin": c.margin,
                "reason": c.reason,
            }
            for c in verdict.criteria
        ],
    }


def turned(*, before: Mapping[str, Any] | None, now: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Per class that was entered or left: which criteria turned, with value and threshold before and after.

    Both arguments are explanations as stored; None stands for a customer not seen before.
    """
    known = {v["name"]: v for v in before["verdicts"]} if before else {}
    changes = []
    for verdict in now["verdicts"]:
        earlier = known.get(verdict["name"], {"holds": False, "criteria": []})
        if earlier["holds"] != verdict["holds"]:
            criteria = {c["code"]: c for c in earlier["criteria"]}
            because = [
                {
                    "code": c["code"],
                    "value_before": criteria.get(c["code"], {}).get("value"),
                    "value": c["value"],
                    "threshold_before": criteria.get(c["code"], {}).get("threshold"),
                    "threshold": c["threshold"],
                    "holds": c["holds"],
                }
                for c in verdict["criteria"]
                if criteria.get(c["code"], {}).get("holds", False) != c["holds"]
            ]
            changes.append(
                {
                    "name": verdict["name"],
                    "entered": verdict["holds"],
                    "rule_version": verdict["rule_version"],
                    "because": because,
                }
            )
    return changes
