"""`python -m tests.architecture.numbers`: decisions and revisions each have a number of their own.

Two branches that both took the next number would else meet on main without a conflict.
"""

import re
import sys
from collections import defaultdict
from pathlib import Path

from tests.architecture.sizes import PROJECT

_HEAD = re.compile(r'^revision, down_revision, .* = "(\w+)_(\d{4})", (?:None|"(\w+)"),', re.MULTILINE)


def decisions(folder: Path) -> list[str]:
    """What is wrong with the numbers of the files in `docs/adr`."""
    files = sorted(folder.glob("*.md"))
    by_number: dict[str, list[str]] = defaultdict(list)
    for file in files:
        by_number[file.name[:4]].append(file.name)
    wrong = [f"docs/adr: {', '.join(names)} carry one number" for names in by_number.values() if len(names) > 1]
    for file in files:
        heading = re.match(r"# 0*(\d+)\.? ", file.read_text(encoding="utf-8"))
        if heading is None or not file.name.startswith(f"{int(heading[1]):04}-"):
            wrong.append(f"docs/adr/{file.name}: the heading does not begin with the number of the file")
    return wrong


def revisions(folder: Path, *, service: str) -> list[str]:
    """What is wrong with the chain of a service's migrations: 0001, 0002 and so on, each following the one before."""
    wrong = []
    for number, file in enumerate(sorted(folder.glob("[0-9]*.py")), start=1):
        head = _HEAD.search(file.read_text(encoding="utf-8"))
        expected = (service, f"{number:04}", f"{service}_{number - 1:04}" if number > 1 else None)
        if head is None or head.groups() != expected or not file.name.startswith(f"{number:04}_"):
            wrong.append(f"{service}/migrations/{file.name}: is not revision {number} in a row: write it anew")
    return wrong


def report() -> list[str]:
    folders = sorted((PROJECT / "services").glob("*/migrations"))
    assert folders
    return decisions(PROJECT / "docs" / "adr") + [
        line for folder in folders for line in revisions(folder, service=folder.parent.name)
    ]


if __name__ == "__main__":
    found = report()
    print("\n".join(found) or "decisions and revisions are numbered without doubles")
    sys.exit(bool(found))
