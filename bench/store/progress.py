"""How far a consumer is, by the clock and by its own processor time.

The clock starts when the consumer may begin: what starting costs, imports and joining the group, is not part of the
rate. All work of the run counts, up to the end of the last transaction and its commit to the broker.
"""

import time
from dataclasses import dataclass

from bench.children import report


@dataclass
class Progress:
    done: int = 0
    transactions: int = 0
    _begun: tuple[float, float] | None = None
    _ended: tuple[float, float] = (0, 0)

    def begin(self) -> None:
        """Only the first time counts."""
        self._begun = self._begun or (time.perf_counter(), time.process_time())

    def note(self, done: int) -> None:
        self.done = done
        self.transactions += 1
        self._ended = (time.perf_counter(), time.process_time())

    def report(self) -> None:
        assert self._begun is not None
        seconds, cpu_s = (ended - begun for begun, ended in zip(self._begun, self._ended, strict=True))
        report(records=self.done, seconds=seconds, steady_cpu_s=cpu_s, transactions=self.transactions)
