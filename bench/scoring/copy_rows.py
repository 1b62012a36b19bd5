"""Rows for COPY in its binary form, put together in NumPy: no Python object per row or field."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_HEAD = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_END = b"\xff\xff"


@dataclass(frozen=True, slots=True)
class Field:
    """One column: the bytes of each row's value, left-aligned, and how many of them count; -1 is null."""

    data: NDArray[np.uint8]
    length: NDArray[np.int32]

    def null_where(self, null: NDArray[np.bool_]) -> "Field":
        return Field(self.data, np.where(null, np.int32(-1), self.length))


def numbers(values: NDArray[Any], kind: str) -> Field:
    """`kind` is the big-endian dtype that Postgres expects: ">f8" for double precision, ">i8" for bigint."""
    return octets(values.astype(kind).view(np.uint8).reshape(len(values), -1))


def octets(data: NDArray[np.uint8]) -> Field:
    """All bytes of each row: bytea, uuid, boolean."""
    return Field(data, np.full(len(data), data.shape[1], np.int32))


def texts(table: Sequence[str], index: NDArray[Any]) -> Field:
    """`table[index]`, looked up as bytes."""
    encoded = [text.encode() for text in table] or [b""]
    width = max(1, *map(len, encoded))
    data = np.frombuffer(b"".join(text.ljust(width, b"\0") for text in encoded), np.uint8).reshape(-1, width)
    return Field(data[index], np.array(list(map(len, encoded)), np.int32)[index])


def copy_rows(fields: Sequence[Field]) -> bytes:
    """The whole stream of COPY ... WITH (FORMAT binary)."""
    count = len(fields[0].data)
    width = 2 + sum(4 + field.data.shape[1] for field in fields)
    rows = np.zeros((count, width), np.uint8)
    kept = np.ones((count, width), bool)
    rows[:, 1] = len(fields)
    at = 2
    for field in fields:
        rows[:, at : at + 4] = field.length.astype(">i4").view(np.uint8).reshape(count, 4)
        end = at + 4 + field.data.shape[1]
        rows[:, at + 4 : end] = field.data
        kept[:, at + 4 : end] = np.arange(field.data.shape[1]) < field.length[:, None]
        at = end
    return _HEAD + (rows if kept.all() else rows[kept]).tobytes() + _END
