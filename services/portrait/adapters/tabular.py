"""From rows of cells to readings: the long form (a reading or several per row) and the wide one (a day per row)."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain, islice, pairwise

from services.portrait.adapters.headers import CHANNEL_WORDS, QUALITY_WORDS, Layout, plain, recognise
from services.portrait.adapters.moments import moment_of
from services.portrait.adapters.readings import (
    STEPS,
    UNITS,
    CellError,
    Hints,
    Reading,
    RowError,
    Unit,
    Unrecognised,
    to_base_unit,
)

Row = Sequence[object]
_HEADER_WITHIN = 10
_LOOKED_AT = 2_000
_EMPTY = frozenset({"", "-", "--", "null", "none", "nan", "na", "n/a", "无"})
_ID = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_.:\-]{0,63}\Z")


@dataclass(frozen=True, slots=True)
class _Cells:
    layout: Layout
    hints: Hints
    row: int
    cells: Row

    def text(self, column: str) -> str:
        index = self.layout.columns.get(column)
        return "" if index is None else _text(self.cells, index)


def readings_of(rows: Iterable[Row], hints: Hints) -> Iterator[Reading | RowError]:
    """Readings and errors in the order of the rows. Raises Unrecognised before the first of them.

    Rows count from 1, headers and titles included, as a spreadsheet shows them.
    """
    numbered: Iterator[tuple[int, Row]] = enumerate(rows, 1)
    layout = _find_layout(numbered, hints)
    if layout.slots:
        _need_hint(layout, hints, "unit", hints.unit or "unit" in layout.columns)
        read: Callable[[_Cells], Iterator[Reading | RowError]] = _wide
    else:
        numbered, step, stamps = _long_terms(numbered, layout, hints)
        read = _LongReader(step=step, stamps=stamps).read
    for row, cells in numbered:
        if any(_text(cells, i) for i in range(len(cells))):
            yield from read(_Cells(layout, hints, row, cells))


def _find_layout(numbered: Iterator[tuple[int, Row]], hints: Hints) -> Layout:
    seen: list[str] = []
    for _, cells in islice(numbered, _HEADER_WITHIN):
        layout = recognise(cells, hints)
        if layout is not None:
            _check_asked(layout, hints)
            return layout
        seen.append("|".join(plain(cell) for cell in cells)[:120])
    raise Unrecognised(
        zh="前10行中没有可识别的表头：须有时间列（如“开始时间”）和数值列（如“正向有功电量(kWh)”），或日期列和96/48/24个时点列。",
        en="No header was recognised in the first 10 rows: needed are a time column (interval_start) and a value column"
        f" (active_import_kwh), or a date column and 96, 48 or 24 slot columns. Seen: {seen[:3]}",
        field="file",
    )


def _check_asked(layout: Layout, hints: Hints) -> None:
    _need_hint(layout, hints, "usage_point_id", hints.usage_point_id or "usage_point_id" in layout.columns)
    named = all(v.channel for v in layout.values) if layout.values else False
    _need_hint(layout, hints, "channel", hints.channel or "channel" in layout.columns or named)
    if hints.channel is not None and hints.channel not in CHANNEL_WORDS:
        raise Unrecognised(zh="通道名称无法识别。", en="The channel is not known.", field="channel")
    if hints.unit is not None and hints.unit.lower() not in UNITS:
        raise Unrecognised(
            zh="单位无法识别，可用：kWh、kvarh、kW 等。", en="The unit is not known: kWh, kW.", field="unit"
        )
    if layout.values:
        told = hints.unit or "unit" in layout.columns or all(v.unit for v in layout.values)
        _need_hint(layout, hints, "unit", told)


_ASKED = {
    "usage_point_id": (
        "文件没有计量点列，请说明全部数据属于哪个计量点。", "No usage point column: name the usage point.",
    ),
    "channel": (
        "文件没有说明通道，请选择：active-import、active-export、reactive-lagging、reactive-leading。",
        "The channel is not said: name active-import, active-export, reactive-lagging or reactive-leading.",
    ),
    "unit": (
        "文件没有说明单位，请选择：kWh、Wh、kvarh、kW、kvar。",
        "The unit is not said: name kWh, Wh, kvarh, kW or kvar.",
    ),
    "stamps": (
        "时间列没有说明是时段开始还是结束，请选择 start 或 end。",
        "The time column does not say whether it is the interval's start or end: name start or end.",
    ),
    "step_minutes": (
        "无法从数据判断间隔，请选择15、30或60分钟。", "The step cannot be seen from the data: name 15, 30 or 60.",
    ),
}  # fmt: skip


def _need_hint(layout: Layout, hints: Hints, field: str, told: object) -> None:
    if not told:
        zh, en = _ASKED[field]
        raise Unrecognised(zh=zh, en=f"{en} Columns: {', '.join(layout.headers)[:200]}", field=field)


def _long_terms(
    numbered: Iterator[tuple[int, Row]], layout: Layout, hints: Hints
) -> tuple[Iterator[tuple[int, Row]], int | None, str]:
    """The rows again, the step (None: a column says it) and whether stamps are starts or ends."""
    stamps = "start" if "start" in layout.columns else "end" if "end" in layout.columns else hints.stamps
    _need_hint(layout, hints, "stamps", stamps)
    assert stamps is not None
    if "step_minutes" in layout.columns or hints.step_minutes:
        if hints.step_minutes not in (None, *STEPS):
            raise Unrecognised(zh="间隔只能是15、30或60分钟。", en="The step is 15, 30 or 60.", field="step_minutes")
        return numbered, None if "step_minutes" in layout.columns else hints.step_minutes, stamps
    if {"start", "end"} <= layout.columns.keys():
        return numbered, None, stamps
    first = list(islice(numbered, _LOOKED_AT))
    step = _smallest_gap(first, layout)
    _need_hint(layout, hints, "step_minutes", step)
    return chain(first, numbered), step, stamps


def _smallest_gap(rows: Sequence[tuple[int, Row]], layout: Layout) -> int | None:
    """Minutes between neighbouring stamps of one series, where that is a step we know."""
    stamp = next(layout.columns[name] for name in ("start", "end", "time") if name in layout.columns)
    keys = [layout.columns[name] for name in ("usage_point_id", "channel") if name in layout.columns]
    series: dict[tuple[str, ...], list[datetime]] = defaultdict(list)
    for _, cells in rows:
        try:
            series[tuple(_text(cells, k) for k in keys)].append(moment_of(cells[stamp]))
        except (CellError, IndexError):
            continue
    gaps = {b - a for moments in series.values() for a, b in pairwise(sorted(set(moments)))}
    minutes = min(gaps, default=timedelta(0)).total_seconds() / 60
    return int(minutes) if minutes in STEPS else None


@dataclass(frozen=True, slots=True)
class _LongReader:
    step: int | None
    stamps: str

    def read(self, line: _Cells) -> Iterator[Reading | RowError]:
        column = "row"
        try:
            column = "usage_point_id"
            point = _point(line)
            column = "step_minutes"
            step = self.step or _step(line)
            column = "time"
            start = self._start(line, step)
            column = "quality"
            quality, column = _quality(line), "revision"
            revision = _revision(line)
        except CellError as error:
            yield RowError(row=line.row, column=column, text=line.text(column)[:200], code=error.code)
            return
        if quality == "missing":
            return
        for value in line.layout.values:
            text = _text(line.cells, value.index)
            if text.lower() in _EMPTY:
                continue
            try:
                unit = _unit(line, value.unit)
                yield Reading(
                    row=line.row, usage_point_id=point, channel=_channel(line, value.channel, unit), kind=unit.kind,
                    start=start, step_minutes=step, value=to_base_unit(text, unit), quality=quality,
                    revision=revision,
                )  # fmt: skip
            except CellError as error:
                yield RowError(row=line.row, column=value.header, text=text[:200], code=error.code)

    def _start(self, line: _Cells, step: int) -> datetime:
        name = next(n for n in ("start", "end", "time") if n in line.layout.columns)
        moment = moment_of(_cell(line.cells, line.layout.columns[name]))
        start = moment if self.stamps == "start" else moment - timedelta(minutes=step)
        if (start.minute % step) or start.second or start.microsecond:
            raise CellError("off-step")
        return start


def _wide(line: _Cells) -> Iterator[Reading | RowError]:
    column = "usage_point_id"
    try:
        point = _point(line)
        column = "date"
        day = moment_of(_cell(line.cells, line.layout.columns["date"]))
        if (day.hour, day.minute) != (0, 0):
            raise CellError("bad-time")
        column = "unit"
        unit = _unit(line, None)
        column = "channel"
        channel = _channel(line, line.hints.channel, unit)
        column = "quality"
        quality, column = _quality(line), "revision"
        revision = _revision(line)
    except CellError as error:
        yield RowError(row=line.row, column=column, text=line.text(column)[:200], code=error.code)
        return
    step = line.layout.step_of_slots
    for slot, index in enumerate(line.layout.slots):
        text = _text(line.cells, index)
        if quality == "missing" or text.lower() in _EMPTY:
            continue
        try:
            yield Reading(
                row=line.row, usage_point_id=point, channel=channel, kind=unit.kind,
                start=day + timedelta(minutes=slot * step), step_minutes=step, value=to_base_unit(text, unit),
                quality=quality, revision=revision,
            )  # fmt: skip
        except CellError as error:
            yield RowError(row=line.row, column=line.layout.headers[index], text=text[:200], code=error.code)


def _cell(cells: Row, index: int) -> object:
    return cells[index] if index < len(cells) else None


def _text(cells: Row, index: int) -> str:
    value = _cell(cells, index)
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()


def _point(line: _Cells) -> str:
    point = line.text("usage_point_id") or line.hints.usage_point_id or ""
    if not point:
        raise CellError("no-usage-point")
    if not _ID.match(point):
        raise CellError("bad-usage-point")
    return point


def _channel(line: _Cells, named: str | None, unit: Unit) -> str:
    word = line.text("channel") or named or line.hints.channel or ""
    channel = CHANNEL_WORDS.get(plain(word))
    if channel is None:
        raise CellError("bad-channel")
    if channel.startswith("reactive") != unit.reactive:
        raise CellError("unit-not-of-channel")
    return channel


def _unit(line: _Cells, of_column: Unit | None) -> Unit:
    if of_column is not None:
        return of_column
    unit = UNITS.get((line.text("unit") or line.hints.unit or "").lower())
    if unit is None:
        raise CellError("bad-unit")
    return unit


def _step(line: _Cells) -> int:
    if "step_minutes" in line.layout.columns:
        text = line.text("step_minutes")
    else:
        begin, end = (moment_of(_cell(line.cells, line.layout.columns[name])) for name in ("start", "end"))
        text = str(int((end - begin).total_seconds() // 60))
    if text not in {str(step) for step in STEPS}:
        raise CellError("bad-step")
    return int(text)


def _quality(line: _Cells) -> str:
    quality = QUALITY_WORDS.get(line.text("quality").lower())
    if quality is None:
        raise CellError("bad-quality")
    return quality


def _revision(line: _Cells) -> int:
    text = line.text("revision") or "0"
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise CellError("bad-revision")
    return int(text)
