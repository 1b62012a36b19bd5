"""A record as it came from a topic. Made once per record of a bulk topic, so it costs as little as it can."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec


class Headers(Mapping[str, str]):
    """Decoded when read. A header without a value is not there; of two of one name the last counts."""

    __slots__ = ("_by_name", "_raw")

    def __init__(self, raw: Iterable[tuple[str, bytes | None]]) -> None:
        self._raw = raw
        self._by_name: dict[str, bytes | None] | None = None

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> "Headers":
        return cls([(name, text.encode()) for name, text in headers.items()])

    @property
    def undecoded(self) -> dict[str, bytes | None]:
        if self._by_name is None:
            self._by_name = dict(self._raw)
        return self._by_name

    def get(self, name: str, default: Any = None) -> Any:
        value = self.undecoded.get(name)
        return default if value is None else value.decode("utf-8", "replace")

    def __getitem__(self, name: str) -> str:
        value = self.undecoded[name]
        if value is None:
            raise KeyError(name)
        return value.decode("utf-8", "replace")

    def __iter__(self) -> Iterator[str]:
        return iter([name for name, value in self.undecoded.items() if value is not None])

    def __len__(self) -> int:
        return sum(value is not None for value in self.undecoded.values())

    def __repr__(self) -> str:
        return f"Headers({dict(self)!r})"


class Record(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Mapping[str, str]
    timestamp_ms: int


def by_type(records: Sequence[Record]) -> dict[str, list[Record]]:
    """Records by their `ce_type`, in their order; those without one under the empty text."""
    found: dict[bytes, list[Record]] = {}
    for record in records:
        headers = record.headers
        told = headers.undecoded.get("ce_type") if type(headers) is Headers else headers.get("ce_type", "").encode()
        found.setdefault(told or b"", []).append(record)
    return {told.decode("utf-8", "replace"): some for told, some in found.items()}
