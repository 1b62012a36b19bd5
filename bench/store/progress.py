"""How far a consumer is, by the clock and by its own processor time. Counts from the first transaction's end to the
last's: what starting costs, imports and joining the group, is not part of the rate."""

import time
from dataclasses import dataclass, field

from bench.children import report


@dataclass
class Progress:
    stamps: list[tuple[float, float, int]] = field(default_factory=list)
    """Wall clock, processor time, records done so far."""

    @property
    def done(self) -> int:
        return self.stamps[-1][2] if self.stamps else 0

    def note(self, done: int) -> None:
        self.stamps.append((time.perf_counter(), time.process_time(), done))

    def report(self) -> None:
        (begun, cpu_before, before), (ended, cpu_after, done) = self.stamps[0], self.stamps[-1]
        report(
            records=done - before,
            seconds=ended - begun,
            steady_cpu_s=cpu_after - cpu_before,
            transactions=len(self.stamps) - 1,
        )
