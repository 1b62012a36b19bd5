"""A day block: the interval energy of one usage point, channel and local day, as NumPy rows and as stored bytes.

A day of Asia/Shanghai has 1,440 minutes, always: the country keeps no daylight saving. So a day of 15-minute
steps has 96 slots, and slot `i` begins `i * step_minutes` after local midnight.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

STEPS_MINUTES = (15, 30, 60)
WIDTH = 96
"""Columns of every matrix; a day of longer steps uses the first 48 or 24."""
MISSING = -(2**31)
"""Sentinel of a slot nobody has reported; no value may equal it."""

CHANNELS = {"active-import": 1, "active-export": 2, "reactive-lagging": 3, "reactive-leading": 4}
"""Wire name -> stored code. Active channels hold Wh, reactive ones varh."""

QUALITIES = {
    "missing": 1,
    "estimated": 2,
    "suspect": 3,
    "questionable": 3,
    "manual": 4,
    "measured": 5,
    "edited": 6,
    "validated": 7,
}
"""Wire name -> stored code; a higher code is the better witness of the same slot at the same revision. Codes are
stored for ever: names may be added, numbers never change."""
FROM_MEAN_POWER = 0x80
"""Bit of the quality byte: the energy was derived from a mean power, which yields to a metered energy."""

FIELDS: tuple[tuple[str, str], ...] = (
    ("value", "<i4"),
    ("quality", "<u1"),
    ("revision", "<i4"),
    ("source_time_us", "<i8"),
    ("tie", "<u4"),
)


class BlockKey(NamedTuple):
    """Sorts as the primary key does (the database column is collated "C")."""

    usage_point_id: str
    channel: int
    day: date
    step_minutes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Slots:
    """Equal-shaped arrays: a matrix (blocks, WIDTH), or a flat list of offers for slots.

    `tie` is a hash of source and event id, which decides between offers of the same instant. A missing slot of a
    matrix is MISSING in `value` and 0 everywhere else, so that equal content has equal bytes.
    """

    value: NDArray[np.int32]
    quality: NDArray[np.uint8]
    revision: NDArray[np.int32]
    source_time_us: NDArray[np.int64]
    tie: NDArray[np.uint32]

    def __getitem__(self, index: Any) -> "Slots":
        return Slots(**{name: getattr(self, name)[index] for name, _ in FIELDS})

    def copy(self) -> "Slots":
        return Slots(**{name: getattr(self, name).copy() for name, _ in FIELDS})

    @property
    def present(self) -> NDArray[np.bool_]:
        return np.not_equal(self.value, MISSING)

    @classmethod
    def empty(cls, *, blocks: int) -> Self:
        arrays = {name: np.zeros((blocks, WIDTH), dtype) for name, dtype in FIELDS}
        arrays["value"][:] = MISSING
        return cls(**arrays)


class StoredBlock(NamedTuple):
    """The bytes of one row. `values` has one int32 per slot, `quality` one byte per slot; the others, which say where a
    value came from, one element per present slot. Where all present slots agree a column other than `values` has a
    single element; source times that are all whole seconds are kept as such in four bytes each, from three on. The
    length says which."""

    values: bytes
    quality: bytes
    revision: bytes
    source_time_us: bytes
    tie: bytes


def slots_per_day(*, step_minutes: int) -> int:
    return 1440 // step_minutes


def energy_of_mean_power(*, power_w: NDArray[np.int64], step_minutes: int) -> NDArray[np.int64]:
    """Wh (or varh) of a mean power over one step, rounded half up once: floor(W * minutes / 60 + 1/2)."""
    return (2 * power_w * step_minutes + 60) // 120


def encode(*, slots: Slots, step_minutes: NDArray[np.int64]) -> list[StoredBlock]:
    """Canonical bytes of each row of a matrix: equal blocks give equal bytes, whatever way they came about.

    Every row must hold at least one present slot.
    """
    counts = (1440 // step_minutes).tolist()
    present = slots.present
    rows = np.arange(len(present))
    first_present = present.argmax(axis=1)
    columns = [_cut(slots.value, counts)]
    for name, dtype in FIELDS[1:]:
        matrix: NDArray[Any] = getattr(slots, name).astype(dtype, copy=False)
        first = matrix[rows, first_present]
        uniform = ((matrix == first[:, None]) | ~present).all(axis=1)
        if name == "quality":
            columns.append(_cut(matrix, counts, singles=first, uniform=uniform.tolist()))
        else:
            columns.append(_provenance(name, matrix, present=present, singles=first, uniform=uniform))
    return [StoredBlock(*row) for row in zip(*columns, strict=True)]


def _provenance(
    name: str, matrix: NDArray[Any], *, present: NDArray[np.bool_], singles: NDArray[Any], uniform: NDArray[np.bool_]
) -> list[bytes]:
    several = ~uniform
    ways = [(singles[:, None], uniform, uniform[:, None]), (matrix, several, present)]
    if name == "source_time_us" and several.any():
        seconds = matrix // 1_000_000
        in_seconds = (seconds * 1_000_000 == matrix) & (seconds >= 0) & (seconds < 2**32)
        short = several & (in_seconds | ~present).all(axis=1) & (present.sum(axis=1) >= _SHORT_FROM)
        ways[1:] = [(matrix, several & ~short, present), (seconds.astype(_SECONDS), short, present)]
    found: list[bytes] = []
    for elements, rows, chosen in ways:
        if rows.all():
            return _elements(elements, chosen)
        if rows.any():
            cells = _elements(elements, chosen & rows[:, None])
            found = [a or b for a, b in zip(found, cells, strict=True)] if found else cells
    return found


_SECONDS = np.dtype("<u4")
_SHORT_FROM = 3
"""Two short elements would have the length of a single long one."""


def _elements(matrix: NDArray[Any], chosen: NDArray[np.bool_]) -> list[bytes]:
    """The bytes of the chosen elements of each row."""
    flat = matrix[chosen].tobytes()
    ends = np.cumsum(chosen.sum(axis=1)) * matrix.dtype.itemsize
    return [flat[begin:end] for begin, end in pairwise([0, *ends.tolist()])]


def _cut(
    matrix: NDArray[Any], counts: list[int], *, singles: NDArray[Any] | None = None, uniform: list[bool] | None = None
) -> list[bytes]:
    size = matrix.dtype.itemsize
    whole, stride = np.ascontiguousarray(matrix).tobytes(), matrix.shape[1] * size
    if singles is None or uniform is None:
        return [whole[i * stride : i * stride + n * size] for i, n in enumerate(counts)]
    alone = singles.tobytes()
    return [
        alone[i * size : (i + 1) * size] if uniform[i] else whole[i * stride : i * stride + n * size]
        for i, n in enumerate(counts)
    ]


def decode(*, rows: Sequence[StoredBlock]) -> Slots:
    """The inverse of `encode`, as a matrix of its own memory. Raises ValueError on bytes of an impossible length."""
    arrays = {
        name: _spread([row[i] for row in rows], dtype, fill=MISSING if i == 0 else 0)
        for i, (name, dtype) in enumerate(FIELDS[:2])
    }
    missing = arrays["value"] == MISSING
    for i, (name, dtype) in enumerate(FIELDS[2:], start=2):
        arrays[name] = _spread_provenance([row[i] for row in rows], dtype, name=name, present=~missing)
    for name, _ in FIELDS[1:]:
        arrays[name][missing] = 0
    return Slots(**arrays)


def _spread_provenance(cells: Sequence[bytes], dtype: str, *, name: str, present: NDArray[np.bool_]) -> NDArray[Any]:
    matrix = np.zeros(present.shape, dtype)
    size = matrix.dtype.itemsize
    lengths, counts = np.fromiter(map(len, cells), np.int64, len(cells)), present.sum(axis=1)
    single = lengths == size
    of_present = ~single & (lengths == counts * size)
    short = ~single & (lengths == counts * _SECONDS.itemsize) & (name == "source_time_us")
    matrix[single] = _joined(cells, single, matrix.dtype)[:, None]
    matrix[present & of_present[:, None]] = _joined(cells, of_present, matrix.dtype)
    if short.any():
        matrix[present & short[:, None]] = _joined(cells, short, _SECONDS).astype(np.int64) * 1_000_000
    others = np.flatnonzero(~(single | of_present | short))
    if len(others):  # of all slots, as they were written at first
        matrix[others] = _spread([cells[i] for i in others.tolist()], dtype, fill=0)
    return matrix


def _joined(cells: Sequence[bytes], chosen: NDArray[np.bool_], dtype: np.dtype[Any]) -> NDArray[Any]:
    return np.frombuffer(b"".join([cells[i] for i in np.flatnonzero(chosen).tolist()]), dtype)


def _spread(cells: Sequence[bytes], dtype: str, *, fill: int) -> NDArray[Any]:
    matrix = np.full((len(cells), WIDTH), fill, dtype)
    lengths = np.fromiter(map(len, cells), np.int64, len(cells))
    for length in np.unique(lengths).tolist():
        chosen = np.flatnonzero(lengths == length)
        count, rest = divmod(length, matrix.dtype.itemsize)
        if rest or count not in (1, 24, 48, 96):
            raise ValueError(f"{length} bytes are no column of a day block of {dtype}")
        flat = np.frombuffer(b"".join([cells[i] for i in chosen.tolist()]), dtype).reshape(len(chosen), count)
        matrix[chosen, : WIDTH if count == 1 else count] = flat
    return matrix
