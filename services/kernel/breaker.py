"""When so much is poison that going on would bury a whole source: the partition stops and a person looks."""

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import repeat

from services.kernel.broker import Record

POISON_IN_A_ROW = 50
POISON_SHARE, POISON_SAMPLE = 0.20, 1_000


@dataclass(kw_only=True)
class Breaker:
    """Stops a partition at 50 poisonous records in a row, or when more than 200 of the last 1,000 of one source are."""

    in_a_row: Counter[tuple[str, int]] = field(default_factory=Counter)
    by_source: dict[str, deque[bool]] = field(default_factory=dict)
    """Of sources with poison in their sample: what came before its first poison was clean."""

    def note(self, record: Record, *, poisonous: bool) -> bool:
        """Whether the partition must stop."""
        where, source = (record.topic, record.partition), _source(record)
        if not poisonous:
            self.in_a_row[where] = 0
            self._clean(source, 1)
            return False
        self.in_a_row[where] += 1
        sample = self.by_source.setdefault(source, deque(maxlen=POISON_SAMPLE))
        sample.append(True)
        return self.in_a_row[where] >= POISON_IN_A_ROW or sum(sample) > POISON_SHARE * POISON_SAMPLE

    def note_clean(self, records: Sequence[Record]) -> None:
        """The same as `note` of each, for records without poison."""
        if any(self.in_a_row.values()):
            for where in {(record.topic, record.partition) for record in records}:
                self.in_a_row[where] = 0
        if self.by_source:
            for source, count in Counter(map(_source, records)).items():
                self._clean(source, count)

    def _clean(self, source: str, count: int) -> None:
        sample = self.by_source.get(source)
        if sample is not None:
            sample.extend(repeat(False, count))
            if not any(sample):
                del self.by_source[source]


def _source(record: Record) -> str:
    return str(record.headers.get("ce_source", ""))[:120]
