"""Rules of inspection at their borders; oil temperatures above 50 °C are synthetic, no measured ones reach them."""

import csv
import gzip
import io
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import get_args

import pytest
from PIL import Image

from services.contracts import inspection as contract
from services.inspection.adapters.forms import parse_form
from services.inspection.adapters.photos import take_in
from services.inspection.rules import frozen_measurement, hazard_state, oil_temperature, words
from services.inspection.rules.checklist import WrongValue, checklist, judge
from services.inspection.rules.hazard_state import WrongStep, next_status
from services.inspection.rules.inspection_cycle import Due, OpenHazard, add_months, cycle_months, due_date
from services.inspection.rules.parameters import parameter
from services.kernel.errors import InvalidInput
from tests.conftest import PROJECT

DAY = date(2026, 5, 20)
START = datetime(2026, 5, 20, tzinfo=UTC)
QUARTER = timedelta(minutes=15)


@pytest.mark.parametrize(
    ("celsius", "grade"),
    [(84.9, None), (85.0, None), (85.1, "general"), (95.0, "general"), (95.1, "critical")],
)
def test_oil_at_its_limit_is_within_it_and_above_is_not(celsius: float, grade: str | None) -> None:
    assert oil_temperature.grade_of(celsius, day=DAY) == grade
    assert judge(checklist()["D01"], value=celsius, today=DAY) == grade


@pytest.mark.parametrize(
    ("code", "value", "grade"),
    [
        ("I21", True, None), ("I21", False, "critical"),
        ("I17", 2, None), ("I17", 1, "serious"),
        ("K05", -5, None), ("K05", -5.1, "serious"), ("K05", 5.1, "serious"),
        ("D02", 80, None), ("D02", 100, "general"), ("D02", 130, "serious"), ("D02", 130.5, "critical"),
        ("T02", "seep", None), ("T02", "drip", "serious"), ("T02", "stream", "critical"),
        ("I11", "2025-11-20", None), ("I11", "2025-11-19", "serious"), ("I11", "2026-05-21", "serious"),
        ("I08", "2026-05-20", None), ("I08", "2026-05-19", "serious"),
    ],
)  # fmt: skip
def test_an_item_fails_beyond_its_limit_with_the_grade_of_its_value(
    code: str, value: bool | float | str, grade: str | None
) -> None:
    assert judge(checklist()[code], value=value, today=DAY) == grade


@pytest.mark.parametrize(
    ("code", "value"), [("I21", "yes"), ("I21", 1), ("I17", True), ("I17", "2"), ("I11", "soon"), ("T02", "flood")]
)
def test_a_value_of_another_kind_is_refused_and_not_guessed(code: str, value: bool | float | str) -> None:
    with pytest.raises(WrongValue):
        judge(checklist()[code], value=value, today=DAY)


def test_every_item_of_the_three_steps_can_pass_and_can_fail() -> None:
    samples: dict[str, list[bool | float | str]] = {
        "bool": [True, False],
        "number": [-1e6, 0.0, 0.9, 1.0, 1.4, 90.0, 110.0, 130.0, 2000.0],
        "date": ["2026-05-20", "2020-01-01"],
    }
    for item in checklist().values():
        if item.kind == "automatic":
            continue
        values = samples.get(item.kind, [*item.passes.get("one_of", ()), *item.choices])
        grades = {judge(item, value=value, today=DAY) for value in values}
        assert None in grades, item.code
        assert grades - {None}, item.code


def test_a_suspicion_is_confirmed_or_voided_before_it_is_rectified() -> None:
    assert hazard_state.allowed_steps(status="found", suspected=True) == ("confirm", "void")
    assert hazard_state.allowed_steps(status="found", suspected=False) == ("void", "rectify")
    with pytest.raises(WrongStep) as refused:
        next_status(step="rectify", status="found", suspected=True)
    assert refused.value.allowed == ("confirm", "void")
    assert next_status(step="rectify", status="confirmed", suspected=False) == "rectified"


def test_a_hazard_closes_only_after_verification_and_closed_is_the_end() -> None:
    with pytest.raises(WrongStep):
        next_status(step="close", status="rectified", suspected=False)
    assert next_status(step="verify", status="rectified", suspected=False) == "verified"
    assert next_status(step="close", status="verified", suspected=False) == "closed"
    assert hazard_state.allowed_steps(status="closed", suspected=False) == ()
    assert hazard_state.allowed_steps(status="voided", suspected=False) == ()


@pytest.mark.parametrize(
    ("person", "grade", "may"),
    [("P-1", "general", False), ("P-2", "general", True), ("P-2", "serious", False), ("P-2", "critical", False),
     ("P-3", "critical", True)],
)  # fmt: skip
def test_verification_needs_other_eyes(person: str, grade: words.HazardGrade, may: bool) -> None:
    assert hazard_state.may_verify(person_id=person, grade=grade, rectified_by=["P-1"], finders=["P-2"]) is may


def test_a_critical_hazard_is_to_be_removed_within_a_day() -> None:
    assert hazard_state.deadline_of(grade="critical", found_at=START) == START + timedelta(hours=24)
    assert hazard_state.deadline_of(grade="serious", found_at=START) == START + timedelta(days=30)


def _due(
    *,
    factor: str = "1",
    classes: tuple[str, ...] = (),
    attention: int = 0,
    urgent_since: date | None = None,
    hazards: tuple[OpenHazard, ...] = (),
) -> Due:
    return due_date(
        last_done=date(2026, 1, 1), months=12, factor=Decimal(factor), classes=classes, attention=attention,
        urgent_since=urgent_since, hazards=hazards, day=DAY,
    )  # fmt: skip


def test_the_shortest_factor_applies_and_none_lengthens_the_cycle() -> None:
    assert _due() == Due(on=date(2027, 1, 1), reason="cycle")
    assert _due(classes=("high-contribution",)) == Due(on=date(2027, 1, 1), reason="cycle")
    assert _due(attention=1) == Due(on=date(2026, 10, 1), reason="attention")
    assert _due(attention=1, classes=("high-reliability",)) == Due(on=date(2026, 7, 2), reason="class")
    assert _due(factor="0.5", attention=1).on == date(2026, 7, 2)


def test_urgent_attention_and_open_hazards_call_before_the_cycle() -> None:
    assert _due(attention=3, urgent_since=DAY) == Due(on=DAY, reason="attention")
    assert _due(hazards=(OpenHazard(grade="critical", found_on=DAY),)) == Due(on=DAY, reason="hazard")
    assert _due(hazards=(OpenHazard(grade="serious", found_on=DAY),)).on == DAY + timedelta(days=30)
    assert _due(hazards=(OpenHazard(grade="general", found_on=DAY),)).reason == "cycle"


def test_cycles_follow_importance_then_voltage() -> None:
    assert cycle_months(importance="grade-1", highest_kv=Decimal(10), day=DAY) == 3
    assert cycle_months(importance="grade-2", highest_kv=Decimal(110), day=DAY) == 6
    assert [cycle_months(importance="none", highest_kv=Decimal(kv), day=DAY) for kv in ("35", "10", "0.4")] == [
        6,
        12,
        24,
    ]
    assert add_months(date(2027, 11, 30), 3) == date(2028, 2, 29)


def _readings(values: list[float | None], *, start: datetime = START) -> list[tuple[datetime, float | None]]:
    return [(start + n * QUARTER, value) for n, value in enumerate(values)]


def _follow(
    run: frozen_measurement.Run | None, readings: list[tuple[datetime, float | None]]
) -> tuple[frozen_measurement.Run | None, list[frozen_measurement.Run]]:
    return frozen_measurement.follow(
        run, readings=readings, threshold=timedelta(hours=12), largest_gap=timedelta(hours=2)
    )


def test_a_run_is_stuck_at_the_threshold_and_not_one_reading_before() -> None:
    _, before = _follow(None, _readings([20.5] * 48))
    _, at = _follow(None, _readings([20.5] * 49))
    assert before == []
    assert [r.lasted for r in at] == [timedelta(hours=12)]


def test_a_run_split_over_blocks_and_told_twice_is_found_once() -> None:
    readings = _readings([21.0, *[20.5] * 96])
    whole, found = _follow(None, readings)
    run: frozen_measurement.Run | None = None
    pieces: list[frozen_measurement.Run] = []
    for begin in range(0, len(readings), 10):
        for _ in range(2):
            run, stuck = _follow(run, readings[begin : begin + 10])
            pieces += stuck
    assert run == whole
    assert pieces == found
    assert len(found) == 1


def test_a_changed_value_or_a_long_silence_ends_the_run() -> None:
    assert _follow(None, _readings([*[20.5] * 40, 20.6, *[20.5] * 40]))[1] == []
    early = _readings([20.5] * 40)
    late = _readings([20.5] * 40, start=early[-1][0] + timedelta(hours=3))
    assert _follow(None, [*early, *late])[1] == []
    assert len(_follow(None, _readings([*[20.5] * 30, None, *[20.5] * 30]))[1]) == 1


def test_the_measured_transformer_has_fourteen_day_long_frozen_runs_and_nothing_else_is_caught() -> None:
    with gzip.open(PROJECT / "data" / "ETTm1.csv.gz", "rt") as source:
        readings = [
            (datetime.fromisoformat(row["date"]).replace(tzinfo=UTC), float(row["OT"]))
            for row in csv.DictReader(source)
        ]
    run, stuck = frozen_measurement.follow(
        None,
        readings=readings,
        threshold=timedelta(hours=parameter("frozen-run-hours", day=DAY)),
        largest_gap=timedelta(hours=parameter("frozen-run-largest-gap-hours", day=DAY)),
    )
    assert run is not None
    assert len(stuck) == 14
    assert stuck[0].since.date() == date(2016, 7, 30)


def _picture(*, size: tuple[int, int] = (64, 48), kind: str = "JPEG") -> bytes:
    exif = Image.Exif()
    exif[0x010E] = "the owner's secret place"
    target = io.BytesIO()
    Image.new("RGB", size, (200, 30, 30)).save(target, format=kind, exif=exif, comment=b"hidden")
    return target.getvalue()


async def test_a_photo_is_written_anew_without_what_travelled_inside() -> None:
    raw = _picture()
    assert b"secret" in raw
    clean = await take_in(raw)
    assert b"secret" not in clean.jpeg
    assert b"hidden" not in clean.jpeg
    with Image.open(io.BytesIO(clean.jpeg)) as image:
        assert (image.format, image.size, len(image.getexif())) == ("JPEG", (64, 48), 0)


@pytest.mark.parametrize("raw", [b"", b"<svg/>", _picture()[:400], b"\xff\xd8\xff" + b"0" * 100, b"0" * 8_000_001])
async def test_what_is_no_whole_picture_is_refused(raw: bytes) -> None:
    with pytest.raises(InvalidInput):
        await take_in(raw)


async def test_a_picture_of_too_many_pixels_is_refused_before_it_is_decoded() -> None:
    target = io.BytesIO()
    Image.new("1", (5001, 5000)).save(target, format="PNG")
    with pytest.raises(InvalidInput, match="pixels"):
        await take_in(target.getvalue())


def test_a_form_gives_back_the_bytes_as_they_came() -> None:
    content = bytes(range(256)) + b"\r\n--x\n--xy\r\n"
    body = (
        b'--b0\r\nContent-Disposition: form-data; name="note"\r\n\r\nrepaired\r\n'
        b'--b0\r\ncontent-disposition: form-data; name="photo"; filename="a.jpg"\r\nContent-Type: image/jpeg\r\n\r\n'
        + content + b"\r\n--b0--\r\n"
    )  # fmt: skip
    assert parse_form(body, content_type="multipart/form-data; boundary=b0") == {"note": b"repaired", "photo": content}


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"{}", "application/json"),
        (b"--b0\r\nno end", "multipart/form-data; boundary=b0"),
        (b"--b0\r\n\r\nno name\r\n--b0--", "multipart/form-data; boundary=b0"),
        (b'--b0\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n' * 2 + b"--b0--",
         "multipart/form-data; boundary=b0"),
    ],
)  # fmt: skip
def test_what_is_no_form_is_refused(body: bytes, content_type: str) -> None:
    with pytest.raises(InvalidInput):
        parse_form(body, content_type=content_type)


def test_rules_and_contracts_speak_the_same_words() -> None:
    assert get_args(words.HazardGrade) == get_args(contract.HazardGrade)
    assert get_args(words.HazardStatus) == get_args(contract.HazardStatus)
