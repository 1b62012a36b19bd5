"""Which column means what: names of headers, channels and qualities in Chinese and English, as data."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from services.portrait.adapters.readings import STEPS, UNITS, Hints, Kind, Unit, Unrecognised

COLUMNS: dict[str, frozenset[str]] = {
    "usage_point_id": frozenset(
        {"usage_point_id", "usage_point", "usagepoint", "计量点编号", "计量点", "计量点id", "用电点", "用电点编号"}
    ),
    "start": frozenset({"interval_start", "start", "start_time", "开始时间", "起始时间", "时段开始"}),
    "end": frozenset({"interval_end", "end", "end_time", "结束时间", "终止时间", "时段结束"}),
    "time": frozenset({"time", "datetime", "timestamp", "时间", "数据时间", "采集时间", "日期时间", "date_time"}),
    "date": frozenset({"date", "day", "日期", "数据日期"}),
    "channel": frozenset({"channel", "通道", "数据类型", "data_type", "类型"}),
    "unit": frozenset({"unit", "单位"}),
    "step_minutes": frozenset({"step_minutes", "interval_minutes", "间隔", "间隔分钟"}),
    "quality": frozenset({"quality", "质量", "质量标志", "数据质量"}),
    "revision": frozenset({"revision", "修订", "修订号"}),
}
VALUES: dict[str, tuple[str | None, Kind | None]] = {
    "value": (None, None), "数值": (None, None), "值": (None, None), "读数": (None, None),
    "energy": (None, "energy"), "电量": (None, "energy"), "power": (None, "mean-power"), "功率": (None, "mean-power"),
    "正向有功": ("active-import", None), "正向有功电量": ("active-import", "energy"),
    "有功电量": ("active-import", "energy"),
    "active_import": ("active-import", None), "active-import": ("active-import", None),
    "反向有功": ("active-export", None), "反向有功电量": ("active-export", "energy"),
    "active_export": ("active-export", None), "active-export": ("active-export", None),
    "正向无功": ("reactive-lagging", None), "正向无功电量": ("reactive-lagging", "energy"),
    "感性无功": ("reactive-lagging", None), "感性无功电量": ("reactive-lagging", "energy"),
    "reactive_lagging": ("reactive-lagging", None), "reactive-lagging": ("reactive-lagging", None),
    "反向无功": ("reactive-leading", None), "反向无功电量": ("reactive-leading", "energy"),
    "容性无功": ("reactive-leading", None), "容性无功电量": ("reactive-leading", "energy"),
    "reactive_leading": ("reactive-leading", None), "reactive-leading": ("reactive-leading", None),
    "有功功率": ("active-import", "mean-power"), "正向有功功率": ("active-import", "mean-power"),
    "active_power": ("active-import", "mean-power"), "无功功率": ("reactive-lagging", "mean-power"),
}  # fmt: skip
"""Header of a value column -> channel and kind, None where the header alone does not say it."""
CHANNEL_WORDS = {name: channel for name, (channel, _) in VALUES.items() if channel is not None}
QUALITY_WORDS = {
    "": "measured", "measured": "measured", "实测": "measured", "正常": "measured", "有效": "measured",
    "estimated": "estimated", "估算": "estimated", "估计": "estimated", "补全": "estimated",
    "manual": "manual", "手工": "manual", "人工": "manual", "补抄": "manual",
    "questionable": "questionable", "可疑": "questionable", "异常": "questionable",
    "missing": "missing", "缺失": "missing",
}  # fmt: skip
_UNIT_IN_NAME = re.compile(r"^(?P<name>.*?)[\s_]*[(\[](?P<unit>[^)\]]+)[)\]]$")
_UNIT_SUFFIX = re.compile(r"^(?P<name>.+)_(?P<unit>[km]?(?:wh|varh|w|var))$")
_CLOCK = re.compile(r"^(?P<hour>\d{1,2})[:：]?(?P<minute>\d{2})(?:[:：]00)?$")
_NUMBERED = re.compile(r"^(?:p|t|v|point|点)_?0*(?P<n>\d{1,2})$|^第?0*(?P<m>\d{1,2})点?$")


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueColumn:
    index: int
    header: str
    channel: str | None
    unit: Unit | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """`columns` name -> index. Long: `values` per row; wide: `slots` columns of one day, in order."""

    headers: tuple[str, ...]
    columns: dict[str, int]
    values: tuple[ValueColumn, ...] = ()
    slots: tuple[int, ...] = ()

    @property
    def step_of_slots(self) -> int:
        return 1440 // len(self.slots)


def plain(header: object) -> str:
    text = "" if header is None else str(header)
    return text.strip().lstrip("\ufeff").lower().translate(str.maketrans("（）【】　", "()[] ")).replace(" ", "_")


def recognise(cells: Sequence[object], hints: Hints) -> Layout | None:
    """The layout that this row of headers describes; None when it is no header. Raises Unrecognised."""
    headers = tuple(plain(cell) for cell in cells)
    bare = [_split_unit(header) for header in headers]
    columns = {}
    for name, words in COLUMNS.items():
        at = [i for i, (header, _) in enumerate(bare) if header in words]
        if len(at) > 1:
            raise Unrecognised(
                zh=f"有多列都像“{name}”，请只保留一列。", en=f"Several columns look like {name}; keep one.", field=name
            )
        if at:
            columns[name] = at[0]
    slots = _slots(headers)
    values = tuple(
        ValueColumn(index=i, header=headers[i], channel=VALUES[name][0] or hints.channel, unit=_unit(name, unit))
        for i, (name, unit) in enumerate(bare)
        if name in VALUES
    )
    has_time = bool(columns.keys() & {"start", "end", "time"})
    if slots and "date" in columns:
        return Layout(headers=headers, columns=columns, slots=slots)
    if values and has_time:
        return Layout(headers=headers, columns=columns, values=values)
    return None


def _split_unit(header: str) -> tuple[str, str | None]:
    for pattern in (_UNIT_IN_NAME, _UNIT_SUFFIX):
        if found := pattern.match(header):
            return found["name"], found["unit"]
    return header, None


def _unit(name: str, text: str | None) -> Unit | None:
    if text is None:
        return None
    unit = UNITS.get(text)
    if unit is None:
        raise Unrecognised(
            zh=f"列“{name}”的单位“{text}”无法识别，可用：kWh、Wh、MWh、kvarh、kW、kvar。",
            en=f"The unit {text!r} of column {name!r} is not known; use kWh, Wh, MWh, kvarh, kW or kvar.",
            field="unit",
        )
    kind = VALUES[name][1]
    if kind is not None and kind != unit.kind:
        raise Unrecognised(
            zh=f"列“{name}”的单位“{text}”与列名不符（电量或功率）。",
            en=f"The unit {text!r} contradicts the name of column {name!r} (energy or power).",
            field="unit",
        )
    return unit


def _slots(headers: Sequence[str]) -> tuple[int, ...]:
    """Indices of the 96, 48 or 24 columns of a day in their order; none when the headers are no such run."""
    clocks = [(i, int(f["hour"]) * 60 + int(f["minute"])) for i, h in enumerate(headers) if (f := _CLOCK.match(h))]
    if 1440 // max(1, len(clocks)) in STEPS and len(clocks) in (24, 48, 96):
        step = 1440 // len(clocks)
        minutes = [minute for _, minute in clocks]
        starts = [n * step for n in range(len(clocks))]
        # Labelled by the beginning (00:00 first), or by the end (the last is 24:00, often written 00:00).
        if minutes == starts or [m or 1440 for m in minutes] == [s + step for s in starts]:
            return tuple(i for i, _ in clocks)
    numbered = [(int(f["n"] or f["m"]), i) for i, h in enumerate(headers) if (f := _NUMBERED.match(h))]
    if len(numbered) in (24, 48, 96) and sorted(n for n, _ in numbered) == list(range(1, len(numbered) + 1)):
        return tuple(i for _, i in sorted(numbered))
    return ()
