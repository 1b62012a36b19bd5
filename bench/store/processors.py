"""Processor seconds of a server with all its processes, those which ended included."""

import contextlib
import os
from pathlib import Path

from deploy.local.processes import descendants

_TICKS = os.sysconf("SC_CLK_TCK")


def server_seconds(pid: int) -> float:
    """0 where there is no /proc."""
    total = 0
    for one in [pid, *descendants(pid=pid)]:
        with contextlib.suppress(OSError, IndexError, ValueError):
            times = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()[11:15]
            # Children of children that ended are counted by their parent; those still there count themselves.
            total += sum(map(int, times if one == pid else times[:2]))
    return total / _TICKS
