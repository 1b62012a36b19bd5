"""A record as it came from a topic. Made once per record of a bulk topic, so it costs as little as it can."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec


class Headers(Mapping[str, str]):
    """Decoded when read. A header without a value is not there; of two of one name the last counts.

    Made into a dict at once: to keep the client's lists of pairs for a batch is dearer (docs/adr/0008).
    """

    __slots__ = ("undecoded",)

    def __init__(self, raw: Iterable[tuple[str, bytes | None]]) -> None:
        self.undecoded = dict(raw)

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> "Headers":
        """`headers` itself if it is of this kind."""
        return headers if type(headers) is cls else cls([(name, text.encode()) for name, text in headers.items()])

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
