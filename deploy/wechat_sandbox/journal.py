"""Every accepted message, in memory and as a line of an append-only file that outlives the process.

A line is written before the caller gets its answer: what was answered is in the file.
"""

import json
import os
import time
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

_FIRST_MSGID = 3_000_000_000_000_000


class Journal:
    def __init__(self, *, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.messages: list[dict[str, Any]] = []
        self.of_person: dict[str, list[dict[str, Any]]] = defaultdict(list)
        torn = self._read(path)
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        if torn:
            os.write(self._file, b"\n")

    def next_msgid(self) -> int:
        """Never given before, also not by an earlier process on the same file."""
        return _FIRST_MSGID + len(self.messages) + 1

    def record(self, *, entry: dict[str, Any], virtual_at: datetime) -> None:
        line = {
            "seq": len(self.messages) + 1,
            "received_at_monotonic_ns": time.monotonic_ns(),
            "received_at": datetime.now(UTC).isoformat(),
            "virtual_at": virtual_at.isoformat(),
        } | entry
        os.write(self._file, json.dumps(line, ensure_ascii=False).encode() + b"\n")
        self._remember(line)

    def close(self) -> None:
        os.close(self._file)

    def _remember(self, line: dict[str, Any]) -> None:
        self.messages.append(line)
        self.of_person[line["openid"]].append(line)

    def _read(self, path: Path) -> bool:
        """True if the last line was cut off by a kill; that message was never answered and does not count."""
        data = path.read_bytes() if path.exists() else b""
        for line in data.splitlines():
            try:
                self._remember(json.loads(line))
            except (ValueError, KeyError, TypeError):
                continue
        return bool(data) and not data.endswith(b"\n")
