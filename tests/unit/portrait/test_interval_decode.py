"""The hot decode of interval blocks accepts and refuses exactly what the published contract does."""

import json
import random
from datetime import UTC, date, datetime, timedelta
from typing import Any, get_args

import numpy as np
import pytest
from msgspec import structs

from services.contracts.metering import Channel, IntervalBlockRecorded, Quality
from services.kernel.broker import Record
from services.kernel.packed import packed
from services.kernel.wire import Poison, Window
from services.kernel.wire import decode as decode_by_contract
from services.portrait.metering.decode import Decoded, decode_blocks
from services.portrait.metering.plain import NOT_PLAIN, Moments, microseconds, plain_time, read_plain
from services.portrait.metering.shapes import read_shapes, utc_us
from services.portrait.rules.day_block import CHANNELS, FIELDS, FROM_MEAN_POWER, QUALITIES, WIDTH, BlockKey

NOW = datetime(2026, 6, 30, 12, tzinfo=UTC)
BODY: dict[str, Any] = {
    "usage_point_id": "UP-1",
    "channel": "active-import",
    "kind": "energy",
    "start": "2026-06-29T16:00:00Z",  # midnight in Shanghai
    "step_minutes": 15,
    "values": [100, None, -5, 2**31 - 1],
    "quality": "measured",
    "revision": 0,
    "source_time": "2026-06-30T02:00:00+08:00",
}


def record(body: bytes | dict[str, Any], *, event_id: str = "e-1", time: datetime = NOW, key: str = "UP-1") -> Record:
    return Record(
        topic="metering-readings",
        partition=0,
        offset=0,
        key=key.encode(),
        value=json.dumps(body).encode() if isinstance(body, dict) else body,
        headers={
            "ce_specversion": "1.0",
            "ce_id": event_id,
            "ce_source": "head-end",
            "ce_type": IntervalBlockRecorded.TYPE,
            "ce_time": time.isoformat(),
        },
        timestamp_ms=0,
    )


def decoded(*records: Record) -> Decoded:
    return decode_blocks(records, now=NOW, window=Window())


def test_a_block_becomes_offers_at_its_local_day_and_slots_and_a_null_says_nothing() -> None:
    found = decoded(record({**BODY, "start": "2026-06-29T16:30:00Z"}))
    assert not found.rejected
    assert found.readings == 3
    assert list(found.batch.keys) == [BlockKey("UP-1", CHANNELS["active-import"], date(2026, 6, 30), 15)]
    assert found.batch.cells.tolist() == [2, 4, 5]
    assert found.batch.offers.value.tolist() == [100, -5, 2**31 - 1]
    assert found.batch.offers.quality.tolist() == [QUALITIES["measured"]] * 3
    assert found.batch.offers.source_time_us.tolist() == [1_782_756_000_000_000] * 3


def test_the_last_interval_before_local_midnight_belongs_to_the_ending_day() -> None:
    found = decoded(record({**BODY, "start": "2026-06-29T15:45:00Z", "values": [7]}))
    assert found.batch.keys[0].day == date(2026, 6, 29)
    assert found.batch.cells.tolist() == [95]


def test_a_block_that_passes_local_midnight_is_refused() -> None:
    found = decoded(record({**BODY, "start": "2026-06-29T15:45:00Z", "values": [7, 8]}))
    assert [r.poison.reason for r in found.rejected] == ["breaks-contract"]


def test_mean_power_is_stored_as_energy_and_marked() -> None:
    found = decoded(record({**BODY, "kind": "mean-power", "values": [4000, 2, 1]}))
    assert found.batch.offers.value.tolist() == [1000, 1, 0]
    assert set(found.batch.offers.quality.tolist()) == {QUALITIES["measured"] | FROM_MEAN_POWER}


def test_records_of_several_points_channels_and_steps_are_laid_out_in_key_order() -> None:
    found = decoded(
        record({**BODY, "usage_point_id": "UP-2"}, key="UP-2"),
        record({**BODY, "channel": "reactive-lagging", "step_minutes": 60, "values": [1, 2]}),
        record({**BODY, "values": [9], "start": "2026-06-29T16:15:00Z"}),
    )
    assert list(found.batch.keys) == sorted(found.batch.keys)
    assert [(k.usage_point_id, k.channel, k.step_minutes) for k in found.batch.keys] == [
        ("UP-1", 1, 15),
        ("UP-1", 3, 60),
        ("UP-2", 1, 15),
    ]
    by_cell = dict(zip(found.batch.cells.tolist(), found.batch.offers.value.tolist(), strict=True))
    assert by_cell == {1: 9, WIDTH: 1, WIDTH + 1: 2, 2 * WIDTH: 100, 2 * WIDTH + 2: -5, 2 * WIDTH + 3: 2**31 - 1}


@pytest.mark.skipif("missing" not in get_args(Quality), reason="the contract has no such quality")
def test_a_filler_of_quality_missing_says_nothing() -> None:
    found = decoded(record({**BODY, "values": [0, 5], "quality": ["missing", "measured"]}))
    assert found.batch.offers.value.tolist() == [5]


def test_offers_of_different_events_differ_in_their_tie() -> None:
    one, two = decoded(record(BODY, event_id="a")), decoded(record(BODY, event_id="b"))
    assert one.batch.offers.tie[0] != two.batch.offers.tie[0]


def test_a_bad_record_is_rejected_and_its_neighbours_go_on() -> None:
    bad = record({**BODY, "values": ["x"]})
    found = decoded(record(BODY), bad, record({**BODY, "usage_point_id": "UP-3"}, key="UP-3"))
    assert [r.record for r in found.rejected] == [bad]
    assert found.readings == 6


@pytest.mark.parametrize(
    "start", [NOW - timedelta(days=6 * 366), NOW + timedelta(days=1), NOW.replace(hour=12) + timedelta(minutes=15)]
)
def test_intervals_far_from_now_are_refused(start: datetime) -> None:
    found = decoded(record({**BODY, "start": start.isoformat(), "values": [1]}))
    assert [r.poison.reason for r in found.rejected] == ["implausible-time"]


def test_a_record_under_a_foreign_key_is_refused() -> None:
    assert [r.poison.reason for r in decoded(record(BODY, key="UP-9")).rejected] == ["foreign-key"]


def test_a_hidden_second_member_is_refused() -> None:
    body = json.dumps(BODY)[:-1].encode() + b', "\\u0076alues": [1]}'
    assert [r.poison.reason for r in decoded(record(body)).rejected] == ["undecodable"]


STRANGE: list[Any] = [
    None, True, 0, 1, -1, 1.0, 1.5, 1e300, 2**31, -(2**31), 2**63, "", "x", " UP-1", "UP-1\n", "up 1", "汉", "a" * 64,
    "a" * 65, [], [None], [1, "2"], [1.0], [True], {}, {"a": 1}, "measured", "bad", ["measured"], ["measured"] * 4,
    (list(get_args(Quality)) * 2)[:4], "energy", "mean-power", "register", 15, 30, 60, 45, "15",
    "active-export", "reactive-lagging", "2026-06-29T16:00:00", "2026-06-29 16:00:00Z", "2026-06-29t16:00:00z",
    "2026-06-29T16:00Z", "2026-06-29T16:00:00.5Z", "2026-06-29T16:00:00.1234567Z", "2026-06-29T16:07:00Z",
    "2026-02-30T16:00:00Z", "2026-06-29T24:00:00+08:00", "2026-06-30T00:00:00+08:00", "2026-06-30T00:00:60Z",
    "0001-01-01T00:00:00Z",
    "2026-06-29T16:00:00+24:00", "2026-06-29T16:00:00+23:59", "2026-06-29T16:00:00-00:00", "2101-01-01T00:00:00Z",
    "1782748800", 1782748800, "2026-06-29", [100] * 96, [100] * 97, [None] * 96, [0] * 24,
]  # fmt: skip


BROKEN = [b"", b"\\", b'"', b",", b"0", b"\xff", b"-", b".", b"N"]


def corpus(*, seed: int, size: int) -> list[bytes]:
    """Valid bodies, bodies with strange members, members missing or added, and bodies with broken bytes."""
    rng = random.Random(seed)
    bodies = [json.dumps({**BODY, name: value}).encode() for name in BODY for value in STRANGE]
    bodies += [json.dumps({k: v for k, v in BODY.items() if k != name}).encode() for name in BODY]
    for _ in range(size):
        changed = {**BODY, **{rng.choice(list(BODY)): rng.choice(STRANGE) for _ in range(rng.randrange(3))}}
        if rng.random() < 0.2:
            changed[rng.choice(["later_field", "Values", "values "])] = rng.choice(STRANGE)
        body = bytearray(json.dumps(changed, ensure_ascii=rng.random() < 0.5).encode())
        for _ in range(rng.choice([0, 0, 1, 2])):
            where = rng.randrange(len(body))
            body[where : where + rng.randrange(2)] = rng.choice(
                [b"", b"\\", b'"', b",", b"0", b"\xff", b"-", b".", b"N"]
            )
        bodies.append(bytes(body))
    return bodies


def verdict_of_contract(r: Record) -> str:
    try:
        decode_by_contract(r, IntervalBlockRecorded)
    except Poison as poison:
        return f"{poison.reason}: {poison.detail}"
    return "accepted"


def test_hot_decode_and_contract_agree_on_a_fuzz_corpus() -> None:
    accepted = 0
    for body in corpus(seed=20260630, size=6_000):
        r = record(body)
        expected = verdict_of_contract(r)
        found = decoded(r)
        reasons = [f"{x.poison.reason}: {x.poison.detail}" for x in found.rejected]
        if expected == "accepted":
            accepted += 1
            # What the contract cannot know is the present: the plausible window.
            assert not reasons or reasons[0].startswith("implausible-time"), (body, reasons)
        else:
            assert reasons == [expected], body
    assert accepted > 500


@pytest.mark.parametrize("name", list(BODY))
def test_a_member_that_appears_twice_is_refused(name: str) -> None:
    body = json.dumps(BODY)[:-1].encode() + f', "{name}": {json.dumps(BODY[name])}}}'.encode()
    assert [r.poison.reason for r in decoded(record(body)).rejected] == ["undecodable"]


def test_the_stored_codes_know_every_channel_and_quality_of_the_contract() -> None:
    assert set(CHANNELS) == set(get_args(Channel))
    assert set(QUALITIES) >= set(get_args(Quality))
    assert 0 < min(QUALITIES.values()) <= max(QUALITIES.values()) < FROM_MEAN_POWER


@pytest.mark.parametrize("quality", ["measured", (list(get_args(Quality)) * 2)[:4]])
def test_what_a_producer_of_the_contract_writes_takes_the_hot_path(quality: str | list[str]) -> None:
    event = IntervalBlockRecorded.model_validate_json(json.dumps({**BODY, "quality": quality}))
    assert not read_plain([record(event.to_wire())], now=NOW, window=Window())[1]


def test_the_hot_path_lays_the_offers_that_the_contract_would() -> None:
    """An unknown member changes nothing of what is said, but takes a record off the hot path."""
    compared = 0
    for body in corpus(seed=20260701, size=3_000):
        hot = record(body)
        if read_plain([hot], now=NOW, window=Window())[1]:
            continue
        judged = record(body.rstrip()[:-1] + b', "later_field": 1}')
        assert read_plain([judged], now=NOW, window=Window())[1] == [judged]
        mine, theirs = decoded(hot), decoded(judged)
        assert list(mine.batch.keys) == list(theirs.batch.keys), body
        assert mine.batch.cells.tolist() == theirs.batch.cells.tolist(), body
        for name, _ in FIELDS:
            assert getattr(mine.batch.offers, name).tolist() == getattr(theirs.batch.offers, name).tolist(), body
        compared += 1
    assert compared > 200


def test_a_time_put_together_of_minute_and_rest_is_the_time_of_the_whole_text() -> None:
    seed = 20260702
    rng, plain, moments = random.Random(seed), 0, Moments()
    times = [time for time in STRANGE if isinstance(time, str) and len(time) > 15]
    times += ["1992-01-01T00:00:00-23:59", "2099-12-31T23:59:59.000001+23:59", "1991-12-31T23:59:59Z"]
    for _ in range(20_000):
        text = list(rng.choice(times))
        for _ in range(rng.randrange(3)):
            where = rng.randrange(len(text))
            text[where : where + rng.randrange(2)] = rng.choice(["", *"0123456789:-+TZ. é１"])
        whole = "".join(text)
        moment = plain_time(whole)
        expected = NOT_PLAIN if moment is None else microseconds(moment)
        for said in (whole, whole.encode()):
            assert moments[said] == expected, (seed, said)
        plain += moment is not None
    assert plain > 2_000


def test_odd_records_among_many_are_found_and_the_others_take_the_hot_path() -> None:
    bodies = [{**BODY, "usage_point_id": f"UP-{n}", "values": [n]} for n in range(2_500)]
    odd = {0, 7, 999, 1_000, 1_001, 2_499}
    records = [
        record({**body, "later_field": 1} if n in odd else body, key=f"UP-{n}", event_id=f"e-{n}")
        for n, body in enumerate(bodies)
    ]
    for said in (records, packed(records)):
        told, left = read_plain(said, now=NOW, window=Window())
        assert told is not None
        assert left == [records[n] for n in sorted(odd)]
        assert told.values.tolist() == [n for n in range(2_500) if n not in odd]
    assert sorted(decoded(*records).batch.offers.value.tolist()) == list(range(2_500))


def test_a_member_twice_in_one_record_is_not_made_up_for_by_another() -> None:
    double = json.dumps(BODY)[:-1].encode() + b', "values": [1]}'
    few = json.dumps({name: value for name, value in BODY.items() if name != "kind"}).encode()
    left = read_plain([record(double), record(few), record(BODY)], now=NOW, window=Window())[1]
    assert [r.value for r in left] == [double, few]


@pytest.mark.parametrize(
    "change",
    [
        {"ce_specversion": ""}, {"ce_specversion": "0.3"},
        {"ce_id": ""}, {"ce_id": "x" * 121}, {"ce_source": "x" * 121},
        {"ce_time": "2026-06-30T12:00:00"}, {"ce_time": "2026-06-30T12:11:00+00:00"}, {"ce_time": "yesterday"},
    ],
)  # fmt: skip
def test_attributes_that_are_not_plain_are_judged_as_everywhere(change: dict[str, str]) -> None:
    plain = record(BODY)
    changed = structs.replace(plain, headers={**plain.headers, **change})
    good = structs.replace(plain, headers={**plain.headers, "ce_id": "x" * 120, "ce_source": "华东"})
    found = decoded(changed, good)
    assert [r.record for r in found.rejected] == [changed]
    assert found.readings == 3


def told_in_shapes(n: int) -> Record:
    """As one source writes single readings: record by record only digits differ."""
    day, slot = divmod(n // 40, 90)
    start = datetime(2026, 6, 26, 16, tzinfo=UTC) + timedelta(days=day, minutes=15 * slot)
    point = f"UP-{n % 40:04d}"
    event = IntervalBlockRecorded(
        usage_point_id=point, channel="active-import" if n % 3 else "reactive-lagging", kind="energy", start=start,
        step_minutes=15, values=(n * 37 % 2_000,) if n % 5 else (n, 10 + n % 7), quality="measured", revision=n % 2,
        source_time=start + timedelta(minutes=31, microseconds=(n % 11) * 1_000 if n % 4 == 1 else 0),
    )  # fmt: skip
    time = f"{start + timedelta(minutes=31):%Y-%m-%dT%H:%M:%SZ}"
    plain = record(event.to_wire(), event_id=f"{point}-{n:05d}", key=point)
    return structs.replace(
        plain, offset=n, headers={**plain.headers, "ce_time": time, "content-type": "application/json"}
    )


ODD_HEADERS: list[dict[str, str]] = [
    {"ce_specversion": "0.3"}, {"ce_specversion": "1.00"}, {"ce_id": ""}, {"ce_id": "x" * 121}, {"ce_id": "汉"},
    {"ce_source": "other"}, {"ce_source": ""}, {"ce_source": "华东"}, {"ce_time": "2026-06-30T24:00:00Z"},
    {"ce_time": "2026-06-31T11:00:00Z"}, {"ce_time": "2026-06-30T12:30:00Z"}, {"ce_time": "2026-06-30T11:00:00+08:00"},
    {"ce_time": "2026-06-30T11:00:00.25Z"}, {"ce_time": "1991-06-30T11:00:00Z"}, {"ce_time": "yesterday"}, {"new": "1"},
]  # fmt: skip


def oddly(r: Record, rng: random.Random) -> Record:
    """One byte of the body, one header or the key is another; often that is still good."""
    body = bytearray(r.value or b"")
    match rng.randrange(4):
        case 0:
            return structs.replace(r, headers={**r.headers, **rng.choice(ODD_HEADERS)})
        case 1:
            return structs.replace(r, key=rng.choice([None, b"", b"UP-9", b"UP-0001", b"x" * 70]))
        case 2:
            digits = [i for i, byte in enumerate(body) if chr(byte).isdigit()]
            body[rng.choice(digits)] = rng.choice(b"0123456789")
        case _:
            where = rng.randrange(len(body))
            body[where : where + rng.randrange(2)] = rng.choice([*BROKEN, b"1", b"Z", b":", b" "])
    return structs.replace(r, value=bytes(body))


@pytest.mark.parametrize("seed", range(20260704, 20260708))
def test_records_read_by_shapes_say_what_the_others_say(seed: int) -> None:
    rng = random.Random(seed)
    records = [told_in_shapes(n) for n in range(3_000)]
    records = [oddly(r, rng) if rng.random() < 0.15 else r for r in records]
    unread = packed(records)
    _, left = read_shapes(unread, now=NOW, window=Window())
    assert len(left) < 0.3 * len(records), "too few take the hottest path for this to be a test of it"
    mine, theirs = decoded(*records), decode_blocks(unread, now=NOW, window=Window())
    assert sorted((r.record.offset, r.poison.reason, r.poison.detail) for r in theirs.rejected) == sorted(
        (r.record.offset, r.poison.reason, r.poison.detail) for r in mine.rejected
    )
    assert 50 < len(mine.rejected) < 400
    assert list(theirs.batch.keys) == list(mine.batch.keys)
    offers = [
        sorted(
            zip(
                found.batch.cells.tolist(),
                *(getattr(found.batch.offers, name).tolist() for name, _ in FIELDS),
                strict=True,
            )
        )
        for found in (mine, theirs)
    ]
    assert offers[0] == offers[1]


def test_times_read_by_columns_are_those_of_the_texts() -> None:
    rng = random.Random(20260709)
    texts = [t for t in STRANGE if isinstance(t, str) and len(t) > 15] + [
        "1991-12-31T23:59:59Z",
        "2099-12-31T23:59:59.9Z",
    ]
    fractions = ["", "", ".5", ".000001"]
    for _ in range(5_000):
        month, day, hour, minute, second = (rng.randrange(most) for most in (14, 33, 26, 62, 62))
        clock = f"{hour:02}:{minute:02}:{second:02}{rng.choice(fractions)}"
        texts.append(f"20{rng.randrange(100):02}-{month:02}-{day:02}T{clock}Z")
    texts += ["".join(rng.choice(["x", "/", ":", " "]) if rng.random() < 0.03 else c for c in text) for text in texts]
    plain = 0
    for text in texts:
        found = utc_us(np.frombuffer(text.encode(), np.uint8)[None])
        moment = plain_time(text) if text.endswith("Z") else None
        assert found.tolist() == [NOT_PLAIN if moment is None else microseconds(moment)], text
        plain += moment is not None
    assert plain > 1_000
