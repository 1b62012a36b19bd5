"""`python -m tests.architecture.sizes`: prints how large files and functions are; fails above 400 and 60 lines."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
FOLDERS = ("services", "deploy", "bench", "tests")
MOST_FILE_LINES, MOST_FUNCTION_LINES = 400, 60


def sources() -> list[Path]:
    return sorted(p for folder in FOLDERS for p in (PROJECT / folder).rglob("*.py"))


def functions(file: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None:
            yield node.name, node.end_lineno - node.lineno + 1


def percentile(values: list[int], share: float) -> int:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def report() -> list[str]:
    """What is too large; prints the distribution."""
    lengths = {file: len(file.read_text(encoding="utf-8").splitlines()) for file in sources()}
    spans = [(file, name, span) for file in lengths for name, span in functions(file)]
    for label, values in (("file lines", [*lengths.values()]), ("function lines", [s for *_, s in spans])):
        shown = ", ".join(f"{n} {percentile(values, q)}" for n, q in (("median", 0.5), ("p95", 0.95), ("max", 1)))
        print(f"{label}: {shown} of {len(values)}")
    return [
        *(f"{f.relative_to(PROJECT)}: {n} lines" for f, n in lengths.items() if n > MOST_FILE_LINES),
        *(f"{f.relative_to(PROJECT)}: {name} {s} lines" for f, name, s in spans if s > MOST_FUNCTION_LINES),
    ]


if __name__ == "__main__":
    too_large = report()
    print("\n".join(too_large))
    sys.exit(bool(too_large))
