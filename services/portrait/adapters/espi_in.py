"""Reads ESPI (Green Button) XML: Atom entries in any order, linked by their addresses, in bounded memory."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import iterparse

from services.portrait.adapters.espi_codes import (
    ACCUMULATIONS,
    ATOM,
    CHANNELS,
    DEFAULT_QUALITY,
    ELECTRICITY,
    ESPI,
    MULTIPLIERS,
    QUALITY_IN,
    UNITS,
)
from services.portrait.adapters.readings import (
    STEPS,
    ZONE,
    CellError,
    Hints,
    Kind,
    Reading,
    RowError,
    Unrecognised,
)

_INT32 = 2**31 - 1
_ENTRY, _INTERVAL = f"{{{ATOM}}}entry", f"{{{ESPI}}}IntervalReading"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Type:
    """What a ReadingType says, or under `refused` what of it we do not take."""

    channel: str = ""
    kind: Kind = "energy"
    factor: Decimal = Decimal(1)
    quality: str = DEFAULT_QUALITY
    length_s: int | None = None
    refused: str = ""


@dataclass(slots=True)
class _Links:
    """Addresses of the feed: what is called how, and what belongs to what."""

    types: dict[str, _Type] = field(default_factory=dict)
    type_of: dict[str, str] = field(default_factory=dict)
    """Meter reading -> reading type."""
    reading_of: dict[str, str] = field(default_factory=dict)
    """Interval block, or the collection of such, -> meter reading."""
    points: set[str] = field(default_factory=set)
    entries: list[tuple[str, str]] = field(default_factory=list)
    """Address (self) and collection (up) of each entry, in the order of the file."""


def readings_of(path: Path, hints: Hints) -> Iterator[Reading | RowError]:
    """Two passes over the file: links first, then readings; a row is the ordinal of an IntervalReading.

    Raises Unrecognised when it is no ESPI, is malformed, or defines entities.
    """
    links = _links(path)
    if not links.types:
        raise Unrecognised(
            zh="文件中没有 ESPI 的 ReadingType，无法判断读数的单位。",
            en="The file has no ESPI ReadingType, so the unit of its readings is not known.",
            field="file",
        )
    if hints.usage_point_id is not None and len(links.points) > 1:
        raise Unrecognised(
            zh="文件含多个计量点，不能整体指定一个编号。",
            en="The file holds several usage points; they cannot all be named as one.",
            field="usage_point_id",
        )
    terms = [_belonging(own, up, links, hints) for own, up in links.entries]
    for row, (entry, interval) in enumerate(_intervals(path), 1):
        yield _reading(interval, row, *terms[entry])


def _intervals(path: Path) -> Iterator[tuple[int, Element]]:
    """Every IntervalReading with the ordinal of its entry."""
    entry = 0
    for element in _parsed(path):
        if element.tag == _ENTRY:
            entry += 1
        else:
            yield entry, element


def _parsed(path: Path) -> Iterator[Element]:
    """IntervalReadings and Atom entries as they end; each is freed once the next one is asked for."""
    above: list[Element] = []
    try:
        with path.open("rb") as file:
            for step, element in iterparse(file, events=("start", "end"), forbid_dtd=True):
                if step == "start":
                    above.append(element)
                    continue
                above.pop()
                if element.tag in (_ENTRY, _INTERVAL):
                    yield element
                    if above:
                        above[-1].remove(element)
    except (ParseError, DefusedXmlException, ValueError) as error:
        raise Unrecognised(
            zh=f"XML 无法读取或含有不允许的定义：{error}",
            en=f"The XML cannot be read or holds definitions that are not allowed: {error}",
            field="file",
        ) from error


def _links(path: Path) -> _Links:
    links = _Links()
    for entry in _parsed(path):
        if entry.tag == _INTERVAL:
            continue
        own = _href(entry, "self")
        links.entries.append((own, _href(entry, "up")))
        related = [e.get("href", "") for e in entry.findall(f"{{{ATOM}}}link") if e.get("rel") == "related"]
        content = entry.find(f"{{{ATOM}}}content")
        kind = content[0].tag.removeprefix(f"{{{ESPI}}}") if content is not None and len(content) else ""
        if kind == "ReadingType" and content is not None:
            links.types[own] = _type(content[0])
        elif kind == "UsagePoint":
            links.points.add(_segment(own, "UsagePoint"))
        elif kind == "MeterReading":
            for address in related:
                if "ReadingType" in address:
                    links.type_of[own] = address
                else:
                    links.reading_of[address] = own
    return links


def _href(entry: Element, rel: str) -> str:
    return next((e.get("href", "") for e in entry.findall(f"{{{ATOM}}}link") if e.get("rel") == rel), "")


def _segment(address: str, name: str) -> str:
    """The id behind /name/ in an address."""
    parts = address.split("/")
    return parts[parts.index(name) + 1] if name in parts[:-1] else ""


def _belonging(own: str, up: str, links: _Links, hints: Hints) -> tuple[_Type | None, str]:
    """The reading type and the usage point of an entry with interval blocks."""
    reading = links.reading_of.get(own) or links.reading_of.get(up) or up.removesuffix("/IntervalBlock")
    address = links.type_of.get(reading)
    if address is None and len(links.types) == 1:
        (address,) = links.types
    point = hints.usage_point_id or _segment(own, "UsagePoint") or _segment(reading, "UsagePoint")
    if not point and len(links.points) == 1:
        (point,) = links.points
    return links.types.get(address or ""), point


def _said(element: Element, name: str, default: str = "") -> str:
    return (element.findtext(f"{{{ESPI}}}{name}") or default).strip()


def _type(element: Element) -> _Type:
    unit, flow = _said(element, "uom"), _said(element, "flowDirection", "1")
    named = f"uom={unit} flowDirection={flow} accumulationBehaviour={_said(element, 'accumulationBehaviour')}"
    named += f" commodity={_said(element, 'commodity')}"
    multiplier = MULTIPLIERS.get(_said(element, "powerOfTenMultiplier", "0"))
    if unit not in UNITS or multiplier is None or _said(element, "commodity", ELECTRICITY) != ELECTRICITY:
        return _Type(refused=named)
    kind, reactive = UNITS[unit]
    channel = CHANNELS.get((flow, reactive))
    if channel is None or _said(element, "accumulationBehaviour", "4") not in ACCUMULATIONS[kind]:
        return _Type(refused=named)
    length = _said(element, "intervalLength")
    return _Type(
        channel=channel, kind=kind, factor=multiplier, quality=_said(element, "defaultQuality", DEFAULT_QUALITY),
        length_s=int(length) if length.isdigit() else None,
    )  # fmt: skip


def _reading(interval: Element, row: int, of: _Type | None, point: str) -> Reading | RowError:
    value = _said(interval, "value")
    period = interval.find(f"{{{ESPI}}}timePeriod")
    column, text = "value", value
    try:
        if of is None or not point:
            column, text = "IntervalBlock", point
            raise CellError("no-reading-type")
        if of.refused:
            column, text = "ReadingType", of.refused
            raise CellError("reading-type-not-taken")
        column, text = "timePeriod", "" if period is None else _said(period, "start")
        start, step = _when(period, of)
        column, text = "ReadingQuality", "".join(e.text or "" for e in interval.iter(f"{{{ESPI}}}quality"))
        quality = _quality(interval, of)
        column, text = "value", value
        return Reading(
            row=row, usage_point_id=point, channel=of.channel, kind=of.kind, start=start, step_minutes=step,
            value=_number(value, of), quality=quality,
        )  # fmt: skip
    except CellError as error:
        return RowError(row=row, column=column, text=text[:200], code=error.code)


def _number(text: str, of: _Type) -> int:
    if not text.lstrip("-").isdigit():
        raise CellError("bad-number")
    if len(text) > 15:
        raise CellError("too-large")
    value = int((int(text) * of.factor).to_integral_value(ROUND_HALF_UP))
    if abs(value) > _INT32:
        raise CellError("too-large")
    return value


def _when(period: Any, of: _Type) -> tuple[datetime, int]:
    if period is None:
        raise CellError("bad-time")
    begin, length = _said(period, "start"), _said(period, "duration") or str(of.length_s or "")
    if not begin.lstrip("-").isdigit() or len(begin) > 12 or not length.isdigit():
        raise CellError("bad-time")
    minutes, rest = divmod(int(length), 60)
    if rest or minutes not in STEPS:
        raise CellError("bad-step")
    try:
        start = datetime.fromtimestamp(int(begin), UTC).astimezone(ZONE)
    except (OverflowError, ValueError, OSError):
        raise CellError("bad-time") from None
    if start.minute % minutes or start.second:
        raise CellError("off-step")
    return start, minutes


_WORST_FIRST = ("questionable", "estimated", "manual", "measured")


def _quality(interval: Element, of: _Type) -> str:
    """Of several qualities of a reading the most doubtful counts."""
    said = Counter(e.text or "" for e in interval.iter(f"{{{ESPI}}}quality")) or Counter([of.quality])
    found = {QUALITY_IN.get(code.strip()) for code in said}
    if None in found:
        raise CellError("bad-quality")
    return next(quality for quality in _WORST_FIRST if quality in found)
