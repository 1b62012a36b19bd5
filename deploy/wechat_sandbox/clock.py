"""The sandbox's own time: runs, stands still, jumps. All windows, expiries and delays follow it."""

import asyncio
import time
from datetime import UTC, datetime


class VirtualClock:
    def __init__(self, *, start: datetime | None = None, started_at_s: float | None = None) -> None:
        """Shows `start` at the real instant `started_at_s` (now, unless given); without `start` it shows real time.

        A restarted sandbox gets the same pair again, so that its time goes on.
        """
        real_s = time.time() if started_at_s is None else started_at_s
        self._offset_s = start.timestamp() - real_s if start else 0.0
        self._frozen_at_s: float | None = None
        self._changed = asyncio.Event()

    def seconds(self) -> float:
        """Epoch seconds."""
        return time.time() + self._offset_s if self._frozen_at_s is None else self._frozen_at_s

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.seconds(), UTC)

    @property
    def frozen(self) -> bool:
        return self._frozen_at_s is not None

    def freeze(self) -> None:
        self._frozen_at_s = self.seconds()
        self._wake()

    def run(self) -> None:
        if self._frozen_at_s is not None:
            self._offset_s = self._frozen_at_s - time.time()
            self._frozen_at_s = None
            self._wake()

    def jump(self, *, seconds: float) -> None:
        """Only forward: WeChat's past does not come back. Raises ValueError."""
        if seconds < 0:
            raise ValueError("seconds must not be negative")
        if self._frozen_at_s is None:
            self._offset_s += seconds
        else:
            self._frozen_at_s += seconds
        self._wake()

    async def sleep_until(self, *, at_s: float) -> None:
        """Returns at once when the clock jumps past `at_s`; waits for ever while it stands still."""
        while (missing := at_s - self.seconds()) > 0:
            changed = self._changed
            try:
                async with asyncio.timeout(None if self.frozen else missing):
                    await changed.wait()
            except TimeoutError:
                continue

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
