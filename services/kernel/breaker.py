"""When so much is poison that going on would bury a whole source: the partition stops and a person looks."""

from collections import Counter, defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import repeat

from services.kernel.broker import Record

POISON_IN_A_ROW = 50
POISON_SHARE, POISON_SAMPLE = 0.20, 1_000


@dataclass(kw_only=True)
class Breaker:
    """Stops a partition at 50 poisonous records in a row, or at 20 % of the last 1,000 of one source."""

    in_a_row: Counter[tuple[str, int]] = field(default_factory=Counter)
    by_source: dict[str, deque[bool]] = field(default_factory=lambda: defaultdict(lambda: deque(maxlen=POISON_SAMPLE)))

    def note(self, record: Record, *, poisonous: bool) -> bool:
        """Whether the partition must stop."""
        where = (record.topic, record.partition)
        self.in_a_row[where] = self.in_a_row[where] + 1 if poisonous else 0
        sample = self.by_source[_source(record)]
        sample.append(poisonous)
        if not poisonous:
            return False
        too_many = len(sample) == POISON_SAMPLE and sum(sample) > POISON_SHARE * POISON_SAMPLE
        return self.in_a_row[where] >= POISON_IN_A_ROW or too_many

    def note_clean(self, records: Sequence[Record]) -> None:
        """The same as `note` of each, for a batch without poison."""
        for where in {(record.topic, record.partition) for record in records}:
            self.in_a_row[where] = 0
        for source, count in Counter(map(_source, records)).items():
            self.by_source[source].extend(repeat(False, count))


def _source(record: Record) -> str:
    return record.headers.get("ce_source", "")[:120]
