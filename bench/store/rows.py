"""The usual table: one row per reading, partitioned by month, beside its daily rollups. Filled by COPY or handlers."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.store.readings import Readings, Rollups
from services.portrait.metering.store import Connection

DATABASE = "rows"
SCHEMA = """
CREATE TABLE reading (
  usage_point_id varchar(64) COLLATE "C" NOT NULL, channel smallint NOT NULL, start timestamptz NOT NULL,
  value integer NOT NULL, quality smallint NOT NULL, revision integer NOT NULL, source_time timestamptz NOT NULL,
  PRIMARY KEY (usage_point_id, channel, start)
) PARTITION BY RANGE (start);
CREATE TABLE reading_202603 PARTITION OF reading FOR VALUES FROM ('2026-03-01') TO ('2026-04-01');
CREATE TABLE reading_202604 PARTITION OF reading FOR VALUES FROM ('2026-04-01') TO ('2026-05-01');
CREATE TABLE day_total (
  usage_point_id varchar(64) COLLATE "C" NOT NULL, channel smallint NOT NULL, day date NOT NULL,
  total bigint NOT NULL, maximum integer NOT NULL, minimum integer NOT NULL, present integer NOT NULL,
  PRIMARY KEY (usage_point_id, channel, day)
);"""
KEEP_TOTALS = """
CREATE TABLE before AS SELECT usage_point_id, channel, (start AT TIME ZONE 'Asia/Shanghai')::date,
  sum(value) AS total, max(value) AS maximum, min(value) AS minimum, count(*) AS present
FROM reading GROUP BY 1, 2, 3"""

_ID = 11  # "UP-00000000"
_POSTGRES_EPOCH_US = int(datetime(2000, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000
_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER = b"\xff\xff"


def _row(columns: Sequence[tuple[str, str]]) -> np.dtype[Any]:
    """A row of COPY BINARY whose columns all have a fixed width."""
    parts: list[tuple[str, str]] = [("fields", ">i2")]
    for name, kind in columns:
        parts += [(f"{name} width", ">i4"), (name, kind)]
    return np.dtype(parts)


_KEY = [("usage_point_id", f"S{_ID}"), ("channel", ">i2")]
_WRITTEN = [
    *_KEY, ("start", ">i8"), ("value", ">i4"), ("quality", ">i2"), ("revision", ">i4"), ("source_time", ">i8"),
]  # fmt: skip
_READ = [*_KEY, ("start", ">i8"), ("value", ">i4"), ("quality", ">i2")]
_ROLLUPS = [*_KEY, ("day", ">i4"), ("total", ">i8"), ("maximum", ">i4"), ("minimum", ">i4"), ("present", ">i4")]


def _framed(columns: Sequence[tuple[str, str]], data: dict[str, NDArray[Any]]) -> bytes:
    rows = np.zeros(len(next(iter(data.values()))), _row(columns))
    rows["fields"] = len(columns)
    for name, kind in columns:
        rows[f"{name} width"] = np.dtype(kind).itemsize
        rows[name] = data[name]
    return rows.tobytes()


def write_file(readings: Readings, file: Path, *, chunk: int = 200_000) -> None:
    """The readings as a file for COPY BINARY."""
    with file.open("wb") as out:
        out.write(_HEADER)
        for at in range(0, len(readings), chunk):
            part = slice(at, at + chunk)
            start = readings.start_us[part] - _POSTGRES_EPOCH_US
            data: dict[str, NDArray[Any]] = {
                "usage_point_id": np.array([f"UP-{m:08d}" for m in readings.meter[part].tolist()], f"S{_ID}"),
                "channel": readings.channel[part],
                "start": start,
                "value": readings.value[part],
                "quality": readings.quality[part],
                "revision": np.zeros(len(start), np.int64),
                "source_time": start + 960_000_000,
            }
            out.write(_framed(_WRITTEN, data))
        out.write(_TRAILER)


async def copy_file(connection: Connection, file: Path) -> None:
    columns = [name for name, _ in _WRITTEN]
    await connection.copy_to_table("reading", source=file, columns=columns, format="binary")


async def _fetch(
    connection: Connection, columns: Sequence[tuple[str, str]], table: str, *, meters: int
) -> NDArray[Any]:
    chunks = bytearray()

    async def take(data: bytes) -> None:
        chunks.extend(data)

    names = ", ".join(name for name, _ in columns)
    query = f"SELECT {names} FROM {table} WHERE usage_point_id < 'UP-{meters:08d}'"
    await connection.copy_from_query(query, output=take, format="binary")
    return np.frombuffer(bytes(chunks[len(_HEADER) : -len(_TRAILER)]), _row(columns))


def _meters(ids: NDArray[Any]) -> NDArray[np.int64]:
    digits = np.ascontiguousarray(ids).view(np.uint8).reshape(len(ids), _ID)[:, 3:].astype(np.int64) - ord("0")
    return digits @ (10 ** np.arange(_ID - 4, -1, -1))


async def read_rows(connection: Connection, *, meters: int) -> Readings:
    found = await _fetch(connection, _READ, "reading", meters=meters)
    return Readings(
        meter=_meters(found["usage_point_id"]),
        channel=found["channel"].astype(np.int64),
        start_us=found["start"].astype(np.int64) + _POSTGRES_EPOCH_US,
        value=found["value"].astype(np.int64),
        quality=found["quality"].astype(np.int64),
    )


async def read_rollups(connection: Connection, *, meters: int) -> Rollups:
    found = await _fetch(connection, _ROLLUPS, "day_total", meters=meters)
    numbers = {name: found[name].astype(np.int64) for name, _ in _ROLLUPS[1:]}
    numbers["day"] += _POSTGRES_EPOCH_US // 86_400_000_000
    return Rollups(meter=_meters(found["usage_point_id"]), **numbers)
