"""ESPI in and out: by the schema's rules, with its codes, and back again as the same readings."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import xmlschema
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.portrait.adapters.espi_codes import ESPI, QUALITY_IN, QUALITY_OUT
from services.portrait.adapters.espi_in import readings_of
from services.portrait.adapters.espi_out import ExportBlock, espi_feed
from services.portrait.adapters.readings import ZONE, Hints, Reading, RowError, Unrecognised

MIDNIGHT = datetime(2026, 3, 1, tzinfo=ZONE)
RULES = xmlschema.XMLSchema(Path(__file__).with_name("espi_rules.xsd"))
ATOM = "{http://www.w3.org/2005/Atom}"


def feed(*, readings: str, reading_type: str = "", order: str = "TMB", reading_links: str | None = None) -> str:
    """A small feed as other systems write them; `order` of ReadingType, MeterReading and IntervalBlock."""
    links = (
        reading_links
        or '<link rel="related" href="/rt/1"/><link rel="related" href="/UsagePoint/77/MeterReading/1/IntervalBlock"/>'
    )
    kind = reading_type or "<accumulationBehaviour>4</accumulationBehaviour><commodity>1</commodity><uom>72</uom>"
    entries = {
        "T": f'<entry><link rel="self" href="/rt/1"/><content><ReadingType xmlns="{ESPI}">{kind}</ReadingType>'
        "</content></entry>",
        "M": f'<entry><link rel="self" href="/UsagePoint/77/MeterReading/1"/>{links}'
        f'<content><MeterReading xmlns="{ESPI}"/></content></entry>',
        "B": '<entry><link rel="self" href="/UsagePoint/77/MeterReading/1/IntervalBlock/1"/>'
        '<link rel="up" href="/UsagePoint/77/MeterReading/1/IntervalBlock"/>'
        f'<content><IntervalBlock xmlns="{ESPI}">{readings}</IntervalBlock></content></entry>',
    }
    return f'<?xml version="1.0"?><feed xmlns="http://www.w3.org/2005/Atom">{"".join(entries[o] for o in order)}</feed>'


def interval(value: str = "5", *, start: int = int(MIDNIGHT.timestamp()), duration: int = 900, more: str = "") -> str:
    return (
        f"<IntervalReading>{more}<timePeriod><duration>{duration}</duration><start>{start}</start></timePeriod>"
        f"<value>{value}</value></IntervalReading>"
    )


def read(tmp_path: Path, document: str, **hints: Any) -> list[Reading | RowError]:
    file = tmp_path / "feed.xml"
    file.write_text(document, encoding="utf-8")
    return list(readings_of(file, Hints(**hints)))


def one(tmp_path: Path, document: str, **hints: Any) -> Reading:
    (found,) = read(tmp_path, document, **hints)
    assert isinstance(found, Reading), found
    return found


@pytest.mark.parametrize("order", ["TMB", "BMT", "MBT", "BTM"])
def test_entries_are_linked_in_whatever_order_they_come(tmp_path: Path, order: str) -> None:
    found = one(tmp_path, feed(readings=interval(), order=order))
    assert (found.usage_point_id, found.channel, found.start, found.step_minutes, found.value, found.quality) == (
        "77", "active-import", MIDNIGHT, 15, 5, "measured",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("uom", "flow", "power", "channel", "kind", "value"),
    [
        ("72", "1", "0", "active-import", "energy", 5), ("72", "19", "3", "active-export", "energy", 5_000),
        ("73", "1", "-3", "reactive-lagging", "energy", 0), ("73", "19", "6", "reactive-leading", "energy", 5_000_000),
        ("38", "1", "3", "active-import", "mean-power", 5_000), ("63", "1", "0", "reactive-lagging", "mean-power", 5),
    ],
)  # fmt: skip
def test_units_directions_and_powers_of_ten(
    tmp_path: Path, uom: str, flow: str, power: str, channel: str, kind: str, value: int
) -> None:
    named = (
        f"<accumulationBehaviour>{'4' if kind == 'energy' else '12'}</accumulationBehaviour><commodity>1</commodity>"
        f"<flowDirection>{flow}</flowDirection><powerOfTenMultiplier>{power}</powerOfTenMultiplier><uom>{uom}</uom>"
    )
    found = one(tmp_path, feed(readings=interval(), reading_type=named))
    assert (found.channel, found.kind, found.value) == (channel, kind, value)


@pytest.mark.parametrize("code", sorted(QUALITY_IN))
def test_every_quality_code_has_its_word(tmp_path: Path, code: str) -> None:
    said = f"<ReadingQuality><quality>{code}</quality></ReadingQuality>"
    assert one(tmp_path, feed(readings=interval(more=said))).quality == QUALITY_IN[code]


def test_of_several_qualities_the_most_doubtful_counts_and_the_default_where_there_is_none(tmp_path: Path) -> None:
    two = "".join(f"<ReadingQuality><quality>{code}</quality></ReadingQuality>" for code in ("17", "8"))
    assert one(tmp_path, feed(readings=interval(more=two))).quality == "estimated"
    default = "<accumulationBehaviour>4</accumulationBehaviour><defaultQuality>7</defaultQuality><uom>72</uom>"
    assert one(tmp_path, feed(readings=interval(), reading_type=default)).quality == "manual"


def test_export_words_have_codes_that_come_back_as_the_same_words() -> None:
    assert {QUALITY_IN[code] for code in QUALITY_OUT.values()} == set(QUALITY_OUT)


@pytest.mark.parametrize(
    ("readings", "kind", "code"),
    [
        (interval(duration=86_400), "", "bad-step"), (interval(start=7), "", "off-step"),
        (interval("x"), "", "bad-number"), (interval("9" * 12), "", "too-large"),
        (interval(more="<ReadingQuality><quality>99</quality></ReadingQuality>"), "", "bad-quality"),
        ("<IntervalReading><value>1</value></IntervalReading>", "", "bad-time"),
        (interval(), "<accumulationBehaviour>1</accumulationBehaviour><uom>72</uom>", "reading-type-not-taken"),
        (interval(), "<commodity>7</commodity><uom>72</uom>", "reading-type-not-taken"),
        (interval(), "<uom>29</uom>", "reading-type-not-taken"),
    ],
)  # fmt: skip
def test_what_is_not_taken_is_reported_with_the_reason(tmp_path: Path, readings: str, kind: str, code: str) -> None:
    found = read(tmp_path, feed(readings=readings + interval("7"), reading_type=kind))
    first, second = found
    assert isinstance(first, RowError)
    assert (first.row, first.code) == (1, code)
    assert isinstance(second, Reading) or second.code == code == "reading-type-not-taken"


def test_a_name_given_by_the_sender_replaces_the_one_of_the_feed(tmp_path: Path) -> None:
    assert one(tmp_path, feed(readings=interval()), usage_point_id="UP-1").usage_point_id == "UP-1"


@pytest.mark.parametrize(
    "document",
    [
        '<!DOCTYPE x [<!ENTITY a "b">]><feed/>',
        '<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY lol "lol"><!ENTITY l2 "&lol;&lol;">]><feed>&l2;</feed>',
        '<!DOCTYPE x SYSTEM "file:///etc/passwd"><feed/>',
        "<feed", "<html><body/></html>",
    ],
)  # fmt: skip
def test_entities_document_types_and_other_documents_are_refused(tmp_path: Path, document: str) -> None:
    with pytest.raises(Unrecognised) as refused:
        read(tmp_path, document)
    assert refused.value.field == "file"


def blocks_of(said: list[tuple[Any, ...]]) -> list[ExportBlock]:
    channels = ["active-import", "active-export", "reactive-lagging", "reactive-leading"]
    return [
        ExportBlock(
            usage_point_id=point, channel=channels[channel], midnight=MIDNIGHT + timedelta(days=day),
            step_minutes=step, values=values, qualities=[None if v is None else quality for v in values],
        )
        for point, channel, step, day, values, quality in said
    ]  # fmt: skip


BLOCKS = st.lists(
    st.tuples(
        st.sampled_from(["UP-1", "UP-2"]), st.integers(0, 3), st.sampled_from([15, 30, 60]), st.integers(0, 2),
        st.lists(st.none() | st.integers(-(2**31) + 1, 2**31 - 1), min_size=24, max_size=24),
        st.sampled_from(sorted(QUALITY_OUT)),
    ),
    min_size=1, max_size=5, unique_by=lambda b: b[:4],
)  # fmt: skip


@given(BLOCKS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_exported_keeps_the_rules_of_the_schema_and_is_imported_as_the_same(
    tmp_path: Path, said: list[tuple[Any, ...]]
) -> None:
    blocks = blocks_of(said)
    document = "".join(
        espi_feed(customer_id="C-1", blocks=blocks, made_at=datetime(2026, 4, 1, tzinfo=UTC), base="https://x/espi")
    )
    root = ElementTree.fromstring(document)
    contents = [element[0] for element in root.iter(f"{ATOM}content")]
    assert len(contents) > len(blocks)
    for content in contents:
        RULES.validate(ElementTree.tostring(content, encoding="unicode"))
    ids = [entry.findtext(f"{ATOM}id") for entry in root.iter(f"{ATOM}entry")]
    assert len(set(ids)) == len(ids)
    found = read(tmp_path, document)
    assert {(r.usage_point_id, r.channel, r.start, r.step_minutes, r.value, r.quality) for r in found} == {  # type: ignore[union-attr]
        (b.usage_point_id, b.channel, b.midnight + timedelta(minutes=n * b.step_minutes), b.step_minutes, v, q)
        for b in blocks
        for n, (v, q) in enumerate(zip(b.values, b.qualities, strict=True))
        if v is not None
    }


def test_the_rules_refuse_another_order_of_elements() -> None:
    wrong = f'<IntervalBlock xmlns="{ESPI}"><interval><start>0</start><duration>1</duration></interval></IntervalBlock>'
    with pytest.raises(xmlschema.XMLSchemaValidationError):
        RULES.validate(wrong)
