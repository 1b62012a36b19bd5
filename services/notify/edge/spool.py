"""What the outer zone still owes the inner one, on disk: numbered, durable before it is answered, gone once taken."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


class Spool:
    """One append-only file of JSON lines; a line cut off by a kill was never answered and does not count."""

    def __init__(self, *, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._open: dict[int, dict[str, Any]] = {}
        self._unwritten: set[int] = set()
        self._last = 0
        self._read()
        self._rewrite()

    def append(self, item: Mapping[str, Any], *, durable: bool = True) -> int:
        """The number of the item, which is on disk when this returns; of one that is not durable only the number is."""
        self._last += 1
        entry = {"seq": self._last, **item}
        self._open[self._last] = entry
        if not durable:
            self._unwritten.add(self._last)
        self._write(entry if durable else {"last": self._last})
        return self._last

    def taken(self, up_to: int) -> None:
        """The inner zone has stored all items up to this number."""
        gone = [seq for seq in self._open if seq <= up_to]
        for seq in gone:
            del self._open[seq]
        self._unwritten.difference_update(gone)
        if gone:
            if self._open:
                self._write({"taken": up_to})
            else:
                self._rewrite()

    def pending(self, *, after: int, limit: int = 100) -> Sequence[dict[str, Any]]:
        return [entry for seq, entry in self._open.items() if seq > after][:limit]

    def close(self) -> None:
        os.close(self._file)

    def _write(self, entry: Mapping[str, Any]) -> None:
        os.write(self._file, json.dumps(entry, ensure_ascii=False).encode() + b"\n")
        os.fsync(self._file)

    def _read(self) -> None:
        lines = self._path.read_bytes().splitlines() if self._path.exists() else []
        for line in lines:
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            self._last = max(self._last, int(entry.get("seq", entry.get("taken", entry.get("last", 0)))))
            if "seq" in entry:
                self._open[entry["seq"]] = entry
            elif "taken" in entry:
                self._open = {seq: e for seq, e in self._open.items() if seq > entry["taken"]}

    def _rewrite(self) -> None:
        """Only what is still owed, under the numbers it has; the last number is never given twice."""
        fresh = self._path.with_suffix(".new")
        self._file = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
        self._write({"last": self._last})
        for seq, entry in self._open.items():
            if seq not in self._unwritten:
                self._write(entry)
        fresh.replace(self._path)
