"""`python -m deploy.checked_by_hand [--check]`: three months of scores of the measured sites, worked out by hand.

Writes `docs/checked-by-hand.md`. On purpose it shares nothing with the service: it reads the measured files and the
two data documents and uses plain Python numbers, one formula after the other, so that what it finds is a second
opinion. A test compares it with what the service stores. With `--check` it exits 1 when the page is not current.
"""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import pairwise
from math import sqrt
from pathlib import Path
from typing import Any

from pyarrow import parquet

from deploy.demo.cast import MEMBERS, Member

PROJECT = Path(__file__).resolve().parents[1]
DATA, DOCUMENTS = PROJECT / "data", PROJECT / "services" / "portrait" / "data"
PAGE = PROJECT / "docs" / "checked-by-hand.md"
MONTHS = ("2025-10", "2025-11", "2025-12")
AS_OF = datetime(2026, 1, 12, 9, 0)  # noqa: DTZ001  (wall time of the sites)
Curve = dict[date, list[int | None]]
"""Energy of 96 quarter hours a day in Wh (or varh)."""


@dataclass(kw_only=True)
class Worked:
    """One customer's month: every figure with how it came about."""

    member: Member
    month: str
    values: dict[str, float | None] = field(default_factory=dict)
    steps: list[str] = field(default_factory=list)
    points: dict[str, float] = field(default_factory=dict)
    completeness: float = 0.0
    shift: str = ""
    score: float | None = None
    band: str | None = None


def steel() -> tuple[Curve, Curve, Curve]:
    """Active, lagging and leading energy; the one row of zeros is a drop-out of the logger."""
    rows = parquet.read_table(DATA / "steel_plant_2018_15min.parquet").to_pylist()
    names = ("Usage_kWh", "Lagging_Current_Reactive.Power_kVarh", "Leading_Current_Reactive_Power_kVarh")
    curves: tuple[Curve, Curve, Curve] = ({}, {}, {})
    for row in rows:
        start = row["interval_end"] - timedelta(minutes=15) + timedelta(weeks=366)
        for curve, name in zip(curves, names, strict=True):
            day = curve.setdefault(start.date(), [None] * 96)
            day[start.hour * 4 + start.minute // 15] = round(row[name] * 1000) if row["Usage_kWh"] else None
    return curves


def sites() -> dict[str, Curve]:
    """W per MWh of yearly use, scaled; wall time moved by whole weeks; a doubled hour averaged, a lost one a gap."""
    yearly = {m.profile: m.yearly_mwh for m in MEMBERS if m.profile}
    rows = parquet.read_table(DATA / "german_sites_15min.parquet").to_pylist()
    walls = [(r["profile"], datetime.fromisoformat(r["datetime"]).replace(tzinfo=None), r["w"]) for r in rows]
    last: dict[str, datetime] = {}
    for name, wall, _ in walls:
        last[name] = max(wall, last.get(name, wall))
    seen: dict[tuple[str, date, int], list[float]] = {}
    for name, wall, watt in walls:
        if name in yearly:
            moved = wall + timedelta(weeks=(AS_OF - last[name]).days // 7)
            key = (name, moved.date(), moved.hour * 4 + moved.minute // 15)
            seen.setdefault(key, []).append(watt * yearly[name] / 4)
    curves: dict[str, Curve] = {str(name): {} for name in yearly}
    for (name, day, slot), energies in seen.items():
        total = 0.0
        for energy in energies:
            total += energy
        curves[name].setdefault(day, [None] * 96)[slot] = round(total / len(energies))
    return curves


def periods_of(month: int) -> list[str]:
    """Tariff period of each quarter hour, by the rule of the highest priority that covers it."""
    document = json.loads((DOCUMENTS / "tou_chongqing_2021_14.json").read_text(encoding="utf-8"))
    found = []
    for slot in range(96):
        minute = slot * 15
        best: tuple[int, str] | None = None
        for rule in document["rules"]:
            begin, end = (int(t[:2]) * 60 + int(t[3:]) for t in (rule["start"], rule["end"]))
            if month in rule.get("months", range(1, 13)) and begin <= minute < end:
                rank = (rule.get("priority", 0), rule["period"])
                best = rank if best is None or rank[0] > best[0] else best
        assert best is not None
        found.append(best[1])
    return found


def days_of(month: str) -> list[date]:
    first = date.fromisoformat(f"{month}-01")
    return [day for n in range(31) if (day := first + timedelta(days=n)).month == first.month]


def worked(member: Member, active: Curve, reactive: tuple[Curve, Curve] | None, month: str) -> Worked:
    found, days = Worked(member=member, month=month), days_of(month)
    grid = [active.get(day, [None] * 96) for day in days]
    present = [wh for day in grid for wh in day if wh is not None]
    expected = len(days) * 96
    found.completeness = len(present) / expected
    total, highest = sum(present), max(present)
    say = found.steps.append
    say(
        f"数据 {len(present)} / {expected} 个时段 intervals = {found.completeness:.4%}；"
        f"电量 energy {total:,} Wh；最大时段 highest {highest:,} Wh"
    )
    kw = highest * 60 / 15 / 1000
    say(f"最大负荷 P_max = {highest:,} Wh × 60 / 15 / 1000 = {kw:,.3f} kW")
    value = found.values
    value["load_factor"] = total / len(present) / highest
    say(f"负荷率 load_factor = {total:,} / {len(present)} / {highest:,} = {value['load_factor']:.6f}")
    whole = [[wh for wh in day if wh is not None] for day in grid if None not in day]
    rates = [(max(day) - min(day)) / max(day) for day in whole if max(day) > 0]
    value["peak_valley_diff_rate"] = sum(rates) / len(rates)
    say(
        f"峰谷差率 peak_valley_diff_rate = Σ (P_max − P_min)/P_max / {len(rates)} 天 days"
        f" = {sum(rates):.6f} / {len(rates)} = {value['peak_valley_diff_rate']:.6f}"
    )
    split = periods_of(days[0].month)
    energy: dict[str, int] = {}
    for day in grid:
        for period, wh in zip(split, day, strict=True):
            energy[period] = energy.get(period, 0) + (wh or 0)
    for code, zh, names in (
        ("valley_share", "谷电占比", ("valley", "deep_valley")), ("peak_share", "峰电占比", ("sharp", "peak")),
    ):  # fmt: skip
        part = sum(energy.get(name, 0) for name in names)
        value[code] = part / total
        say(f"{zh} {code} = {part:,} / {total:,} = {value[code]:.6f}")
    value["power_factor"] = _power_factor(found, days, total, reactive)
    factor, kva = value["power_factor"], float(member.contract_capacity_kva)
    value["transformer_utilization"] = kw / (kva * factor) if factor else None
    if factor:
        say(
            f"变压器利用率 transformer_utilization = {kw:,.3f} / ({kva:g} × {factor})"
            f" = {value['transformer_utilization']:.6f}"
        )
    value["kwh_per_kva"] = total / 1000 / kva
    say(f"每千伏安电量 kwh_per_kva = {total:,} / 1000 / {kva:g} = {value['kwh_per_kva']:.6f}")
    value["demand_ratio"] = None
    say("需量比 demand_ratio：未约定最大需量 no demand is contracted")
    value["demand_cv"] = _demand_cv(found, active, month)
    found.shift = _shift(found, grid)
    _score(found)
    return found


def _power_factor(
    found: Worked, days: Sequence[date], active: int, reactive: tuple[Curve, Curve] | None
) -> float | None:
    if reactive is None:
        found.steps.append("功率因数 power_factor：无功电量未计量 reactive energy is not metered")
        return None
    lagging, leading = (sum(wh or 0 for day in days for wh in curve.get(day, [])) for curve in reactive)
    quotient = active / sqrt(active**2 + (lagging + leading) ** 2)
    rounded = int(quotient * 100 + 0.5) / 100
    found.steps.append(
        f"功率因数 power_factor = {active:,} / √({active:,}² + ({lagging:,} + {leading:,})²)"
        f" = {quotient:.6f} → {rounded:.2f}"
    )
    return rounded


def _demand_cv(found: Worked, active: Curve, month: str) -> float | None:
    year, number = int(month[:4]), int(month[5:])
    names = [f"{year - (number <= k)}-{(number - k - 1) % 12 + 1:02}" for k in range(11, -1, -1)]
    maxima = []
    for name in names:
        said = [wh for day in days_of(name) for wh in active.get(day, []) if wh is not None]
        if said:
            maxima.append(max(said) * 60 / 15 / 1000)
    if len(maxima) < 12:
        found.steps.append(f"需量波动 demand_cv：仅 {len(maxima)} 个月有数据 only {len(maxima)} of 12 months")
        return None
    mean = sum(maxima) / 12
    deviation = sqrt(sum((kw - mean) ** 2 for kw in maxima) / 12)
    found.steps.append(
        f"需量波动 demand_cv：12 个月最大负荷 {', '.join(f'{kw:.2f}' for kw in maxima)} kW；"
        f"均值 mean {mean:.4f}，标准差 deviation {deviation:.4f}，比 ratio {deviation / mean:.6f}"
    )
    return deviation / mean


def _shift(found: Worked, grid: Sequence[Sequence[int | None]]) -> str:
    profile = [sum(day[slot] or 0 for day in grid) for slot in range(96)]
    low, high = min(profile), max(profile)
    hours = sum((wh - low) >= 0.5 * (high - low) for wh in profile) / 4
    kind = "continuous" if low >= 0.8 * high else "one" if hours <= 10 else "two" if hours <= 18 else "three"
    found.steps.append(
        f"班制 shift：月内各时刻电量最低/最高 lowest/highest {low / high:.3f}，半高以上 above half {hours:g} h → {kind}"
    )
    return kind


def _score(found: Worked) -> None:
    document = json.loads((DOCUMENTS / "score_scheme_demo.json").read_text(encoding="utf-8"))
    general, manufacturing = document["weights"]
    weights: Mapping[str, float] = (manufacturing if found.member.industry_class.startswith("C") else general)[
        "weights"
    ]
    there = {code: w for code, w in weights.items() if found.values[code] is not None}
    whole = sum(there.values())
    for code in there:
        value = found.values[code]
        assert value is not None
        points = document["thresholds"][code]
        found.points[code] = _between(value, points[found.shift] if isinstance(points, dict) else points)
    if (
        found.completeness >= document["minimum_completeness"]
        and whole / sum(weights.values()) >= document["minimum_weight"]
    ):
        exact = sum(weight / whole * found.points[code] for code, weight in there.items())
        found.score = int(exact * 100 + 0.5 + 1e-7) / 100
        found.band = next(
            b for least, b in ((90, "A"), (80, "B"), (70, "C"), (60, "D"), (0, "E")) if found.score >= least
        )
        terms = " + ".join(f"{weight}×{found.points[code]:.4f}" for code, weight in there.items())
        found.steps.append(f"得分 score = ({terms}) / {whole} = {exact:.6f} → {found.score:.2f}，{found.band}")


def _between(value: float, points: Sequence[Sequence[float]]) -> float:
    if value <= points[0][0]:
        return float(points[0][1])
    for (x0, y0), (x1, y1) in pairwise(points):
        if value <= x1:
            return y0 + (y1 - y0) * (value - x0) / (x1 - x0)
    return float(points[-1][1])


def everything() -> Iterator[Worked]:
    active, lagging, leading = steel()
    curves = sites()
    for member in MEMBERS:
        for month in MONTHS:
            if member.profile is None:
                yield worked(member, active, (lagging, leading), month)
            else:
                yield worked(member, curves[member.profile], None, month)


def page() -> str:
    lines = [
        "# 手工核对 Checked by hand", "",
        "实测钢厂与五个实测用户 2025 年 10 至 12 月的指标与评分，",
        "由 `python -m deploy.checked_by_hand` 逐步算出：",
        "只读实测文件与两份数据文件（分时方案、演示评分方案），不用服务的任何代码。",
        "测试 `test_checked_by_hand.py` 将其与服务存储的数值逐项比较。",
        "名称、容量、行业为虚构，曲线为实测（按整周平移，五个用户按年电量缩放）。", "",
        "Indicators and scores of the measured steel plant and five measured sites, step by step, from the measured",
        "files and the two data documents alone, without the service's code. A test compares them with what the",
        "service stores. Pictures of the same customers, as the API draws them:", "",
        "![load of a week](pictures/steel-load-week.svg)", "",
        "![load of the year](pictures/steel-year.svg)", "",
        "![radar of the score](pictures/steel-score.svg)", "",
        "",
    ]  # fmt: skip
    for found in everything():
        result = f"{found.score:.2f} {found.band}" if found.score is not None else "未评分 not scored"
        lines += [f"## {found.member.name} · {found.month} · {result}", ""]
        lines += [f"1. {step}" for step in found.steps]
        shown = {c: f"{v:.6f}" for c, v in found.values.items() if v is not None}
        lines += ["", "| 指标 indicator | 取值 value | 得分 sub-score |", "|---|---|---|"]
        lines += [f"| {c} | {v} | {found.points[c]:.4f} |" for c, v in shown.items()]
        lines.append("")
    return "\n".join(lines)


def main() -> int:
    text: Any = page()
    if "--check" in sys.argv[1:]:
        current = PAGE.exists() and PAGE.read_text(encoding="utf-8") == text
        if not current:
            sys.stderr.write("docs/checked-by-hand.md is stale; run python -m deploy.checked_by_hand\n")
        return 0 if current else 1
    PAGE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
