"""A record as it came from a topic. Made once per record of a bulk topic, so it costs as little as it can."""

from collections.abc import Iterator, Mapping, Sequence

import msgspec


class Headers(Mapping[str, str]):
    """Decoded one by one when asked for. A header without a value is not there; of two of one name the last counts."""

    __slots__ = ("raw",)

    def __init__(self, raw: Sequence[tuple[str, bytes | None]]) -> None:
        self.raw = raw

    def _last(self, name: str) -> bytes | None:
        found = None
        for known, value in self.raw:
            if known == name and value is not None:
                found = value
        return found

    def __getitem__(self, name: str) -> str:
        found = self._last(name)
        if found is None:
            raise KeyError(name)
        return found.decode("utf-8", "replace")

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(name for name, value in self.raw if value is not None))

    def __len__(self) -> int:
        return sum(1 for _ in self)

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
