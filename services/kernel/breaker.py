"""When so much is poison that going on would bury a whole source: the partition stops and a person looks."""

from collections import Counter, defaultdict, deque
from dataclasses import dataclass, field

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
        sample = self.by_source[record.headers.get("ce_source", "")[:120]]
        sample.append(poisonous)
        too_many = len(sample) == POISON_SAMPLE and sum(sample) > POISON_SHARE * POISON_SAMPLE
        return poisonous and (self.in_a_row[where] >= POISON_IN_A_ROW or too_many)
