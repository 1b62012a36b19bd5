"""CSV, XLSX and Parquet in: recognised, or asked for in both languages; every cell is a reading or a reported error."""

import csv
import io
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.portrait.adapters.csv_out import csv_lines, harmless
from services.portrait.adapters.espi_out import ExportBlock
from services.portrait.adapters.readings import (
    REASONS,
    UNITS,
    ZONE,
    Hints,
    Reading,
    RowError,
    Unrecognised,
    to_base_unit,
)
from services.portrait.adapters.sheets import format_of, rows_of
from services.portrait.adapters.tabular import readings_of

MIDNIGHT = datetime(2026, 3, 1, tzinfo=ZONE)


def read(path: Path, **hints: Any) -> list[Reading | RowError]:
    told = Hints(**hints)
    return list(readings_of(rows_of(path, file_format=format_of(path), hints=told), told))


def text(tmp_path: Path, *lines: str, encoding: str = "utf-8", **hints: Any) -> list[Reading | RowError]:
    file = tmp_path / "curves.csv"
    file.write_bytes("\r\n".join(lines).encode(encoding))
    return read(file, **hints)


def brief(found: list[Reading | RowError]) -> list[tuple[Any, ...]]:
    return [
        (r.usage_point_id, r.channel, r.kind, r.start.isoformat(timespec="minutes"), r.step_minutes, r.value)
        if isinstance(r, Reading)
        else (r.row, r.column, r.text, r.code)
        for r in found
    ]


def test_long_csv_with_chinese_headers_and_units_in_gbk(tmp_path: Path) -> None:
    found = text(
        tmp_path,
        "计量点编号,开始时间,间隔,正向有功电量(kWh),感性无功电量（kvarh）,质量",
        "UP-1,2026-03-01 00:00,15,12.3456,3.0,实测",
        'UP-1,2026/3/1 0:15:00,15,"1,012.5",--,估算',
        encoding="gb18030",
    )
    assert brief(found) == [
        ("UP-1", "active-import", "energy", "2026-03-01T00:00+08:00", 15, 12_346),
        ("UP-1", "reactive-lagging", "energy", "2026-03-01T00:00+08:00", 15, 3_000),
        ("UP-1", "active-import", "energy", "2026-03-01T00:15+08:00", 15, 1_012_500),
    ]
    assert [r.quality for r in found if isinstance(r, Reading)] == ["measured", "measured", "estimated"]


def test_the_end_of_an_interval_is_turned_into_its_start_and_24_00_is_the_next_day(tmp_path: Path) -> None:
    found = text(
        tmp_path, "usage_point,结束时间,energy,unit,channel", "UP-1,2026-03-01 00:15,1,kWh,active-import",
        "UP-1,2026-03-01 24:00,2,kWh,正向有功", step_minutes=15,
    )  # fmt: skip
    assert [r[3] for r in brief(found)] == ["2026-03-01T00:00+08:00", "2026-03-01T23:45+08:00"]


@pytest.mark.parametrize("count", [24, 48, 96])
@pytest.mark.parametrize("style", ["ends", "starts", "numbers", "p"])
def test_a_day_per_row_in_the_usual_ways_of_naming_its_points(tmp_path: Path, count: int, style: str) -> None:
    step = 1440 // count
    clock = [f"{m // 60:02}:{m % 60:02}" for m in range(0, 1441, step)]
    names = {
        "ends": [*clock[1:-1], "00:00"], "starts": clock[:-1], "numbers": [str(n + 1) for n in range(count)],
        "p": [f"P{n + 1:02}" for n in range(count)],
    }[style]  # fmt: skip
    found = text(
        tmp_path, f"计量点,日期,单位,通道,{','.join(names)}",
        f"UP-1,2026-03-01,kW,反向有功,{','.join(str(n) for n in range(count))}",
    )  # fmt: skip
    assert [(r.start, r.value) for r in found if isinstance(r, Reading)] == [
        (MIDNIGHT + timedelta(minutes=n * step), n * 1000) for n in range(count)
    ]
    assert {(r.kind, r.channel, r.step_minutes) for r in found if isinstance(r, Reading)} == {
        ("mean-power", "active-export", step)
    }


ASKED = [
    (("time,value", "2026-03-01 00:00,1"), {}, "usage_point_id"),
    (("usage_point,start,value,step_minutes", "UP,2026-03-01,1,15"), {}, "channel"),
    (("usage_point,start,active_import,step_minutes", "UP,2026-03-01,1,15"), {}, "unit"),
    (("usage_point,time,active_import_kwh", "UP,2026-03-01 00:15,1"), {}, "stamps"),
    (("usage_point,start,active_import_kwh", "UP,2026-03-01 00:15,1"), {}, "step_minutes"),
    (("usage_point,start,active_import_kwh", "UP,2026-03-01 00:15,1", "UP,2026-03-01 00:20,1"), {}, "step_minutes"),
    (("usage_point,start,active_import(furlong)", "UP,2026-03-01 00:15,1"), {}, "unit"),
    (("usage_point,start,有功功率(kWh)", "UP,2026-03-01 00:15,1"), {}, "unit"),
    (("usage_point,start,end,time,time,active_import_kwh", "UP"), {}, "time"),
    (("nothing,known", "1,2"), {}, "file"),
    (("usage_point,start,active_import_kwh", "UP,2026-03-01,1"), {"step_minutes": 5}, "step_minutes"),
    (("usage_point,start,value", "UP,2026-03-01,1"), {"channel": "steam", "unit": "kWh"}, "channel"),
]


@pytest.mark.parametrize(("lines", "hints", "field"), ASKED)
def test_what_the_file_does_not_say_is_asked_for_in_both_languages(
    tmp_path: Path, lines: tuple[str, ...], hints: dict[str, Any], field: str
) -> None:
    with pytest.raises(Unrecognised) as asked:
        text(tmp_path, *lines, **hints)
    assert asked.value.field == field
    assert any("\u4e00" <= c <= "\u9fff" for c in asked.value.zh)
    assert asked.value.en.split("Columns:")[0].isascii() or "有功" in lines[0]


def test_the_hints_answer_what_was_asked(tmp_path: Path) -> None:
    found = text(
        tmp_path, "时间,数值", "2026-03-01 00:30,5", usage_point_id="UP-7", channel="reactive-leading", unit="kvarh",
        stamps="end", step_minutes=30,
    )  # fmt: skip
    assert brief(found) == [("UP-7", "reactive-leading", "energy", "2026-03-01T00:00+08:00", 30, 5_000)]


def test_the_step_is_seen_from_neighbouring_stamps_of_one_series(tmp_path: Path) -> None:
    lines = [f"UP-{p},2026-03-01 {h:02}:{m:02},1" for h in range(2) for m in (0, 30) for p in (1, 2)]
    found = text(tmp_path, "usage_point,start,active_import_kwh", *lines)
    assert {r.step_minutes for r in found if isinstance(r, Reading)} == {30}


def test_a_bad_cell_is_reported_with_its_place_and_text_and_the_others_go_on(tmp_path: Path) -> None:
    found = text(
        tmp_path,
        "usage_point,start,step_minutes,active_import_kwh,active_export_kwh,quality,revision",
        "UP-1,2026-03-01 00:00,15,x,2,,",
        "UP 1,2026-03-01 00:00,15,1,2,,",
        ",2026-03-01 00:00,15,1,2,,",
        "UP-1,2026-02-30 00:00,15,1,2,,",
        "UP-1,2026-03-01 00:07,15,1,2,,",
        "UP-1,2026-03-01 00:00,45,1,2,,",
        "UP-1,2026-03-01 00:00,15,3000000,2,,",
        "UP-1,2026-03-01 00:00,15,1,2,perhaps,",
        "UP-1,2026-03-01 00:00,15,1,2,,-1",
        "",
        "UP-1,2026-03-01 00:00,15,nan,inf,,",
    )
    errors = [(e.row, e.column, e.code) for e in found if isinstance(e, RowError)]
    assert errors == [
        (2, "active_import_kwh", "bad-number"), (3, "usage_point_id", "bad-usage-point"),
        (4, "usage_point_id", "no-usage-point"), (5, "time", "bad-time"), (6, "time", "off-step"),
        (7, "step_minutes", "bad-step"), (8, "active_import_kwh", "too-large"), (9, "quality", "bad-quality"),
        (10, "revision", "bad-revision"), (12, "active_export_kwh", "bad-number"),
    ]  # fmt: skip
    assert [(r.row, r.value) for r in found if isinstance(r, Reading)] == [(2, 2_000), (8, 2_000)]
    assert all(REASONS[e.code] for e in found if isinstance(e, RowError))


def test_active_energy_in_a_reactive_channel_is_an_error(tmp_path: Path) -> None:
    found = text(
        tmp_path, "usage_point,start,step_minutes,value,unit,channel", "U,2026-03-01,15,1,kWh,reactive-lagging"
    )
    assert brief(found)[0][3] == "unit-not-of-channel"


@pytest.mark.parametrize(
    ("stamp", "expected"),
    [
        ("2026-03-01T00:15:00Z", "2026-03-01T08:15+08:00"), ("2026-03-01T00:15:00+08:00", "2026-03-01T00:15+08:00"),
        ("2026-02-28T16:15-00:00", "2026-03-01T00:15+08:00"), ("20260301 0015", "2026-03-01T00:15+08:00"),
        ("2026年3月1日 00:15", "2026-03-01T00:15+08:00"), ("2026-03-01", "2026-03-01T00:00+08:00"),
    ],
)  # fmt: skip
def test_times_are_read_in_the_forms_that_occur(tmp_path: Path, stamp: str, expected: str) -> None:
    found = text(tmp_path, "usage_point,start,step_minutes,active_import_kwh", f"U,{stamp},15,1")
    assert brief(found)[0][3] == expected


@pytest.mark.parametrize("stamp", ["2026-03-01 24:15", "2026-13-01", "01/03/2026", "2026-03-01 00:60", "yesterday", ""])
def test_other_times_are_errors(tmp_path: Path, stamp: str) -> None:
    found = text(tmp_path, "usage_point,start,step_minutes,active_import_kwh", f"U,{stamp},15,1")
    assert [e.code for e in found if isinstance(e, RowError)] == ["bad-time"]


def test_an_encoding_that_is_neither_is_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "x.csv"
    file.write_bytes(
        "计量点,开始时间,active_import_kwh,间隔\nUP,2026-03-01,1,15\n".encode("utf-16-le") + b"\xff\xff\xff"
    )
    with pytest.raises(Unrecognised) as asked:
        read(file)
    assert asked.value.field == "encoding"
    file.write_bytes("计量点,开始时间,active_import_kwh,间隔\nUP,2026-03-01,1,15\n".encode("utf-16"))
    assert brief(read(file, encoding="utf-16"))[0][5] == 1000


@pytest.mark.parametrize("title_rows", [0, 3])
def test_xlsx_with_dates_as_dates_and_titles_above_the_header(tmp_path: Path, title_rows: int) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for n in range(title_rows):
        sheet.append([f"标题 {n}"])
    sheet.append(["计量点编号", "开始时间", "间隔", "正向有功(kWh)"])
    sheet.append(["UP-1", (MIDNIGHT + timedelta(minutes=15)).replace(tzinfo=None), 15, 1.5])
    sheet.append(["UP-1", (MIDNIGHT + timedelta(minutes=30)).replace(tzinfo=None), 15, "x"])
    file = tmp_path / "x.xlsx"
    book.save(file)
    assert brief(read(file)) == [
        ("UP-1", "active-import", "energy", "2026-03-01T00:15+08:00", 15, 1_500),
        (title_rows + 3, "正向有功(kwh)", "x", "bad-number"),
    ]
    book.create_sheet("second").append(["more"])
    book.save(file)
    with pytest.raises(Unrecognised, match="2 sheets"):
        read(file)


def test_parquet_long_and_wide(tmp_path: Path) -> None:
    start = [datetime(2026, 2, 28, 16, 15 * n, tzinfo=UTC) for n in range(3)]
    long = pa.table({"usage_point_id": ["UP-1"] * 3, "interval_start": start, "active_import_wh": [1, None, 3]})
    pq.write_table(long, tmp_path / "long.parquet")
    assert [(r[3], r[5]) for r in brief(read(tmp_path / "long.parquet"))] == [
        ("2026-03-01T00:00+08:00", 1), ("2026-03-01T00:30+08:00", 3),
    ]  # fmt: skip
    wide = {"计量点": ["UP-1"], "日期": [MIDNIGHT.date()], **{f"p{n}": [n] for n in range(1, 97)}}
    pq.write_table(pa.table(wide), tmp_path / "wide.parquet")
    found = brief(read(tmp_path / "wide.parquet", unit="kWh", channel="active-import"))
    assert (len(found), found[-1][3], found[-1][5]) == (96, "2026-03-01T23:45+08:00", 96_000)


@pytest.mark.parametrize("content", [b"", b"  \n ", b"PK\x03\x04garbage", b"PAR1garbage"])
def test_empty_and_broken_files_are_refused_in_words(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "x"
    file.write_bytes(content)
    with pytest.raises(Unrecognised) as refused:
        read(file)
    assert refused.value.field == "file"


@given(st.decimals(-2_000_000, 2_000_000, places=4), st.sampled_from(["kwh", "wh", "kvarh", "kw"]))
def test_units_are_turned_into_whole_base_units_rounded_half_up(number: Any, unit: str) -> None:
    exact = number * UNITS[unit].factor
    value = to_base_unit(str(number), UNITS[unit])
    assert abs(value - exact) <= 0.5


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@x", "\tx", "\rx"])
def test_text_that_a_spreadsheet_would_compute_is_made_harmless(cell: str) -> None:
    assert harmless(cell) == f"'{cell}"
    assert harmless("UP-1") == "UP-1"


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["UP-1", "UP-2"]), st.integers(0, 3), st.sampled_from([15, 30, 60]),
            st.lists(st.none() | st.integers(-(2**31) + 1, 2**31 - 1), min_size=24, max_size=24),
            st.sampled_from(["measured", "estimated", "manual", "questionable"]),
        ),
        min_size=1, max_size=4, unique_by=lambda b: b[:3],
    )
)  # fmt: skip
def test_what_is_exported_as_csv_is_imported_as_the_same_readings(blocks: list[tuple[Any, ...]]) -> None:
    channels = ["active-import", "active-export", "reactive-lagging", "reactive-leading"]
    said = [
        ExportBlock(
            usage_point_id=point, channel=channels[channel], midnight=MIDNIGHT, step_minutes=step, values=values,
            qualities=[None if v is None else quality for v in values],
        )
        for point, channel, step, values, quality in blocks
    ]  # fmt: skip
    written = "".join(csv_lines(said)).removeprefix("\ufeff")
    found = list(readings_of(csv.reader(io.StringIO(written, newline="")), Hints()))
    assert {(r.usage_point_id, r.channel, r.start, r.step_minutes, r.value, r.quality) for r in found} == {  # type: ignore[union-attr]
        (b.usage_point_id, b.channel, MIDNIGHT + timedelta(minutes=n * b.step_minutes), b.step_minutes, v, q)
        for b in said
        for n, (v, q) in enumerate(zip(b.values, b.qualities, strict=True))
        if v is not None
    }
