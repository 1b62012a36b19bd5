"""Numbers of variable length as the broker's record format 2 writes them: zigzag, seven bits a byte, lowest first."""

import numpy as np
from numpy.typing import NDArray

_MOST_BITS = 63
_WITHOUT_SIGN = 2**63 - 1


class UnreadableRecords(ValueError):
    """The bytes are no records of format 2."""


def read_varint(data: bytes | memoryview, at: int) -> tuple[int, int]:
    """The number at a position and the position behind it. Raises `UnreadableRecords`."""
    value = shift = 0
    try:
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return (value >> 1) ^ -(value & 1), at
            shift += 7
            if shift > _MOST_BITS:
                raise UnreadableRecords("a number has too many bytes")
    except IndexError as error:
        raise UnreadableRecords("the records end within a number") from error


def read_varints(data: NDArray[np.uint8], at: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The number at each position, and the positions behind them. Raises `UnreadableRecords`."""
    try:
        byte = data[at].astype(np.int64)
        value, behind, shift = byte & 0x7F, at + 1, 7
        longer = np.flatnonzero(byte >= 0x80)
        while len(longer):
            if shift > _MOST_BITS:
                raise UnreadableRecords("a number has too many bytes")
            byte = data[behind[longer]].astype(np.int64)
            value[longer] |= (byte & 0x7F) << shift
            behind[longer] += 1
            longer, shift = longer[byte >= 0x80], shift + 7
    except IndexError as error:
        raise UnreadableRecords("the records end within a number") from error
    return ((value >> 1) & _WITHOUT_SIGN) ^ -(value & 1), behind


def written_varint(number: int) -> bytes:
    rest = (number << 1) ^ (number >> _MOST_BITS)
    found = bytearray()
    while rest > 0x7F:
        found.append((rest & 0x7F) | 0x80)
        rest >>= 7
    found.append(rest)
    return bytes(found)


def record_bounds(data: bytes | memoryview, count: int) -> tuple[list[int], list[int]]:
    """Starts and ends of `count` records that fill `data`, each without its length. Raises `UnreadableRecords`."""
    starts, ends, at = [], [], 0
    try:
        for _ in range(count):
            # Nearly all records are shorter than 8 KiB; the general case costs three times as much.
            low, high = data[at], data[at + 1]
            if low < 0x80:
                size, at = low >> 1, at + 1
            elif high < 0x80:
                size, at = ((low & 0x7F) | (high << 7)) >> 1, at + 2
            else:
                size, at = read_varint(data, at)
                if size < 0:
                    raise UnreadableRecords("a record of negative size")
            starts.append(at)
            at += size
            ends.append(at)
    except IndexError as error:
        raise UnreadableRecords("a batch ends within a record") from error
    if at != len(data):
        raise UnreadableRecords("a batch and its last record do not end together")
    return starts, ends
