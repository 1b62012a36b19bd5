"""The month is scored; classes with the values and thresholds that made them."""

import json
import time
from typing import Any

from deploy.demo import cast
from deploy.demo.outside import NotSeen
from deploy.demo.stage import Stage

MONTH = "2025-12"


async def the_month_is_scored(stage: Stage) -> None:
    stage.chapter("四、月度能效评分与四高分类", "Monthly efficiency scores and the four classes")
    await stage.step("scores")
    asked_ns = time.monotonic_ns()
    await stage.ok("POST", "portrait", f"/scores/{MONTH}", cast.CHIEF)
    wanted = len(cast.MEMBERS)
    rows = await stage.outside.until(
        "scores",
        "SELECT c.customer_id, c.name, s.score, s.band, s.not_scored_because FROM portrait.score s"
        " JOIN portrait.customer c USING (customer_id) WHERE s.month = $1 ORDER BY c.customer_id",
        lambda r: len(r) >= wanted, MONTH, seconds=60,
    )  # fmt: skip
    await stage.settled()
    scored = {r["customer_id"]: asked_ns for r in rows if r["score"] is not None}
    told = await stage.told(event_class="efficiency-scored", subjects=scored, wanted=len(scored))
    await _show_classes(stage, {r["customer_id"]: _score(r) for r in rows})
    stage.say("分数只发给客户自己的联系人：", "Scores went to the customers' own contacts only:")
    stage.show_told(told)


def _score(row: Any) -> str:
    return f"{row['score']:.1f} {row['band']}" if row["score"] is not None else f"— {row['not_scored_because']}"


async def _show_classes(stage: Stage, scores: dict[str, str]) -> None:
    rows = await stage.outside.rows(
        "SELECT customer_id, name, attention_level, explanation FROM portrait.profile ORDER BY customer_id"
    )
    lines, versions = [], set()
    for row in rows:
        explanation = json.loads(row["explanation"])
        held = [v for v in explanation["verdicts"] if v["holds"]]
        versions |= {v["rule_version"] for v in explanation["verdicts"]}
        why = "; ".join(f"{v['name']}: {_because(v['criteria'])}" for v in held)
        lines.append((row["name"], scores[row["customer_id"]], why or "—", str(row["attention_level"])))
    if not any(line[2] != "—" for line in lines):
        raise NotSeen("no customer is in any class")
    stage.say(
        f"分类及其依据（取值 ≥ 阈值；阈值版本 {', '.join(sorted(versions))} 为演示值，非规定）：",
        f"Classes and why (value ≥ threshold; thresholds {', '.join(sorted(versions))} are demo values):",
    )
    stage.table("客户 customer", "得分 score", "分类与依据 class and why", "关注 attention", rows=lines)


def _because(criteria: list[dict[str, Any]]) -> str:
    """The comparisons that hold, with the value and the threshold that made them."""
    return ", ".join(
        c["code"] if isinstance(c["value"], bool) else f"{c['code']} {c['value']:,.4g} / {c['threshold']:,.4g}"
        for c in criteria
        if c["holds"] and c["value"] is not None and not c["code"].startswith(("violation", "penalty"))
    )
