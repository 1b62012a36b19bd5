"""Stored readings in one canonical form, whatever table they come from, and their digest."""

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Column = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Readings:
    """One element per reading: meter number, channel code, UTC start, Wh, quality code."""

    meter: Column
    channel: Column
    start_us: Column
    value: Column
    quality: Column

    def __len__(self) -> int:
        return len(self.meter)

    def of(self, meters: int) -> "Readings":
        """Those of the first `meters` meters."""
        return self._at(self.meter < meters)

    def _at(self, index: NDArray[np.bool_] | NDArray[np.int64]) -> "Readings":
        return Readings(**{name: column[index] for name, column in vars(self).items()})

    def ordered(self) -> "Readings":
        keys = (self.meter, self.channel, self.start_us)
        if _ascending(*keys):
            return self
        return self._at(np.lexsort(keys[::-1]))

    def digest(self) -> str:
        """Independent of the order in which they were read."""
        found = hashlib.sha256(str(len(self)).encode())
        for column in vars(self.ordered()).values():
            found.update(np.ascontiguousarray(column, "<i8").tobytes())
        return found.hexdigest()

    def rollups(self) -> "Rollups":
        """Recomputed from the readings: one element per meter, channel and local day."""
        ordered = self.ordered()
        day = (ordered.start_us // 1_000_000 + 8 * 3600) // 86_400
        keys = (ordered.meter, ordered.channel, day)
        starts = np.flatnonzero(np.append(True, np.any([k[1:] != k[:-1] for k in keys], axis=0)))
        return Rollups(
            meter=ordered.meter[starts],
            channel=ordered.channel[starts],
            day=day[starts],
            total=np.add.reduceat(ordered.value, starts),
            maximum=np.maximum.reduceat(ordered.value, starts),
            minimum=np.minimum.reduceat(ordered.value, starts),
            present=np.diff(np.append(starts, len(ordered))),
        )


def _ascending(*keys: Column) -> bool:
    """Whether the tuples of the columns, most significant first, never fall."""
    rising = np.zeros(max(0, len(keys[0]) - 1), bool)
    level = ~rising
    for key in keys:
        rising |= level & (key[1:] > key[:-1])
        level &= key[1:] == key[:-1]
    return bool((rising | level).all())


@dataclass(frozen=True, kw_only=True)
class Rollups:
    """One element per meter, channel and local day (days since 1970)."""

    meter: Column
    channel: Column
    day: Column
    total: Column
    maximum: Column
    minimum: Column
    present: Column

    def of(self, meters: int) -> "Rollups":
        chosen = self.meter < meters
        return Rollups(**{name: column[chosen] for name, column in vars(self).items()})

    def digest(self) -> str:
        order = np.lexsort((self.day, self.channel, self.meter))
        found = hashlib.sha256()
        for column in vars(self).values():
            found.update(np.ascontiguousarray(column[order], "<i8").tobytes())
        return found.hexdigest()


class StoredOtherwise(AssertionError):
    """A store holds something else than was said, or rollups that do not follow from its readings."""


def tiers(stored: Readings, kept: Rollups | None, *, said: str, meters: dict[str, int]) -> dict[str, str]:
    """Digests of the first meters of each tier; `said` is the digest of all. Raises `StoredOtherwise`."""
    stored = stored.ordered()
    if stored.digest() != said:
        raise StoredOtherwise(f"{len(stored):,} readings are stored that are not those which were said")
    found = {}
    for name, count in meters.items():
        part = stored.of(count)
        found[name] = part.digest()
        if kept is not None:
            found[f"{name} rollups"] = kept.of(count).digest()
            if found[f"{name} rollups"] != part.rollups().digest():
                raise StoredOtherwise(f"{name}: the kept rollups are not those of the readings")
    return found
