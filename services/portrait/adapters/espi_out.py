"""Writes a customer's interval energy as ESPI (Green Button) XML: one Atom feed, elements in the schema's order."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import NAMESPACE_URL, uuid5
from xml.sax.saxutils import escape, quoteattr

from services.portrait.adapters.espi_codes import (
    ATOM,
    DEFAULT_QUALITY,
    DELTA,
    ELECTRICITY,
    ESPI,
    EXPORTED,
    NORMAL,
    QUALITY_OUT,
)

_NO_DAYLIGHT_SAVING = "FFFFFFFF"
_SHANGHAI_S = 8 * 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportBlock:
    """One local day of one channel in one step; Wh or varh, None where nothing was reported."""

    usage_point_id: str
    channel: str
    midnight: datetime
    step_minutes: int
    values: Sequence[int | None]
    qualities: Sequence[str | None]
    """measured, estimated, manual or questionable, None beside a missing value."""


def espi_feed(*, customer_id: str, blocks: Sequence[ExportBlock], made_at: datetime, base: str) -> Iterator[str]:
    """Pieces of the document. `base` is the address below which the resources are named."""
    stamp = made_at.strftime("%Y-%m-%dT%H:%M:%SZ")
    root = f"{base}/RetailCustomer/{customer_id}"
    yield f'<?xml version="1.0" encoding="UTF-8"?>\n<feed xmlns="{ATOM}">'
    yield f"<id>{_urn(root)}</id><title>用电数据 Green Button {escape(customer_id)}</title><updated>{stamp}</updated>"
    yield f'<link rel="self" href={quoteattr(root + "/UsagePoint")}/>'
    times = f"{base}/LocalTimeParameters/shanghai"
    yield _entry(times, f"{base}/LocalTimeParameters", (), "Asia/Shanghai", stamp, _LOCAL_TIME)
    by_point: dict[str, dict[tuple[str, int], list[ExportBlock]]] = defaultdict(lambda: defaultdict(list))
    for block in blocks:
        by_point[block.usage_point_id][block.channel, block.step_minutes].append(block)
    for channel, step in sorted({key for series in by_point.values() for key in series}):
        address = f"{base}/ReadingType/{channel}-{step}"
        title = f"{channel} {step} min"
        yield _entry(address, f"{base}/ReadingType", (), title, stamp, _reading_type(channel, step))
    for point, series in sorted(by_point.items()):
        yield from _point_entries(f"{root}/UsagePoint/{point}", base, times, point, series, stamp)
    yield "</feed>\n"


def _point_entries(  # noqa: PLR0917  (one call, in the order of use)
    address: str, base: str, times: str, point: str, series: dict[tuple[str, int], list[ExportBlock]], stamp: str
) -> Iterator[str]:
    up = address.rsplit("/", 1)[0]
    yield _entry(address, up, (f"{address}/MeterReading", times), point, stamp, _USAGE_POINT)
    for (channel, step), blocks in sorted(series.items()):
        reading = f"{address}/MeterReading/{channel}-{step}"
        related = (f"{reading}/IntervalBlock", f"{base}/ReadingType/{channel}-{step}")
        yield _entry(reading, f"{address}/MeterReading", related, f"{channel} {step} min", stamp, _METER_READING)
        for block in sorted(blocks, key=lambda b: b.midnight):
            own = f"{reading}/IntervalBlock/{block.midnight:%Y%m%d}"
            yield _entry(own, f"{reading}/IntervalBlock", (), f"{block.midnight:%Y-%m-%d}", stamp, _block(block))


def _entry(address: str, up: str, related: Sequence[str], title: str, stamp: str, content: str) -> str:  # noqa: PLR0917
    links = "".join(f'<link rel="related" href={quoteattr(href)}/>' for href in related)
    return (
        f"<entry><id>{_urn(address)}</id>"
        f'<link rel="self" href={quoteattr(address)}/><link rel="up" href={quoteattr(up)}/>{links}'
        f"<title>{escape(title)}</title><content>{content}</content>"
        f"<published>{stamp}</published><updated>{stamp}</updated></entry>\n"
    )


def _urn(address: str) -> str:
    return f"urn:uuid:{uuid5(NAMESPACE_URL, address)}"


_USAGE_POINT = (
    f'<UsagePoint xmlns="{ESPI}"><ServiceCategory><kind>0</kind></ServiceCategory><status>1</status></UsagePoint>'
)
_METER_READING = f'<MeterReading xmlns="{ESPI}"/>'
_LOCAL_TIME = (
    f'<LocalTimeParameters xmlns="{ESPI}"><dstEndRule>{_NO_DAYLIGHT_SAVING}</dstEndRule><dstOffset>0</dstOffset>'
    f"<dstStartRule>{_NO_DAYLIGHT_SAVING}</dstStartRule><tzOffset>{_SHANGHAI_S}</tzOffset></LocalTimeParameters>"
)


def _reading_type(channel: str, step: int) -> str:
    flow, unit = EXPORTED[channel]
    return (
        f'<ReadingType xmlns="{ESPI}"><accumulationBehaviour>{DELTA}</accumulationBehaviour>'
        f"<commodity>{ELECTRICITY}</commodity><dataQualifier>{NORMAL}</dataQualifier>"
        f"<defaultQuality>{DEFAULT_QUALITY}</defaultQuality><flowDirection>{flow}</flowDirection>"
        f"<intervalLength>{step * 60}</intervalLength><kind>12</kind>"
        f"<powerOfTenMultiplier>0</powerOfTenMultiplier><timeAttribute>0</timeAttribute><uom>{unit}</uom></ReadingType>"
    )


def _block(block: ExportBlock) -> str:
    begin, length = int(block.midnight.timestamp()), block.step_minutes * 60
    readings = []
    for slot, (value, quality) in enumerate(zip(block.values, block.qualities, strict=True)):
        if value is None or quality is None:
            continue
        code = QUALITY_OUT[quality]
        said = "" if code == DEFAULT_QUALITY else f"<ReadingQuality><quality>{code}</quality></ReadingQuality>"
        readings.append(
            f"<IntervalReading>{said}<timePeriod><duration>{length}</duration>"
            f"<start>{begin + slot * length}</start></timePeriod><value>{value}</value></IntervalReading>"
        )
    return (
        f'<IntervalBlock xmlns="{ESPI}"><interval><duration>86400</duration><start>{begin}</start></interval>'
        f"{''.join(readings)}</IntervalBlock>"
    )
