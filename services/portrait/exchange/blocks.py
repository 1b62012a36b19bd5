"""From readings of a file to events of the metering topic: one block per point, channel and day, in file order."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

from pydantic import ValidationError

from services.contracts.metering import IntervalBlockRecorded
from services.kernel.wire import Window
from services.portrait.adapters.readings import ZONE, Kind, Reading, RowError

_Key = tuple[str, str, Kind, int, int, date]


def blocks_of(
    readings: Sequence[Reading], *, source_time: datetime, now: datetime, window: Window
) -> tuple[list[IntervalBlockRecorded], list[RowError]]:
    """Every reading is in exactly one block, or reported.

    A slot that the file tells twice goes into two blocks: which of them counts is decided where it is for all, in
    the total order of the store.
    """
    layers: dict[_Key, list[dict[int, Reading]]] = {}
    errors = []
    for reading in readings:
        if not now - window.past <= reading.start <= now + window.ahead - timedelta(minutes=reading.step_minutes):
            errors.append(_error(reading, "implausible-time"))
            continue
        local = reading.start.astimezone(ZONE)
        slot = (local.hour * 60 + local.minute) // reading.step_minutes
        key = (
            reading.usage_point_id, reading.channel, reading.kind, reading.step_minutes, reading.revision, local.date(),
        )  # fmt: skip
        its = layers.setdefault(key, [])
        layer = next((known for known in its if slot not in known), None)
        if layer is None:
            its.append(layer := {})
        layer[slot] = reading
    events = []
    for key, its in layers.items():
        for layer in its:
            try:
                events.append(_event(key, layer, source_time))
            except ValidationError:
                errors.extend(_error(reading, "breaks-contract") for reading in layer.values())
    return events, errors


def _event(key: _Key, layer: dict[int, Reading], source_time: datetime) -> IntervalBlockRecorded:
    point, channel, kind, step, revision, day = key
    slots = range(min(layer), max(layer) + 1)
    qualities = tuple(layer[s].quality if s in layer else "missing" for s in slots)
    said: dict[str, Any] = {
        "usage_point_id": point,
        "channel": channel,
        "kind": kind,
        "start": datetime(day.year, day.month, day.day, tzinfo=ZONE) + timedelta(minutes=slots[0] * step),
        "step_minutes": step,
        "values": tuple(layer[s].value if s in layer else None for s in slots),
        "quality": qualities[0] if len(set(qualities)) == 1 else qualities,
        "revision": revision,
        "source_time": source_time,
    }
    return IntervalBlockRecorded(**said)


def _error(reading: Reading, code: str) -> RowError:
    return RowError(row=reading.row, column="row", text=f"{reading.start.isoformat()} {reading.value}", code=code)
