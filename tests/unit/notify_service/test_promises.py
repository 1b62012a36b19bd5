"""The table of promises names tests and metrics that exist, one row for each of the ten."""

import ast
import re
from pathlib import Path

from prometheus_client import REGISTRY

import services.notify.metrics  # noqa: F401 - registers them

PROJECT = Path(__file__).resolve().parents[3]
TABLE = PROJECT / "docs" / "notify-promises.md"


def rows() -> dict[int, tuple[str, str]]:
    found = {}
    for line in TABLE.read_text("utf-8").splitlines():
        cells = [c.strip() for c in line.strip("|").split("|")]
        if len(cells) == 4 and cells[0].isdigit():
            found[int(cells[0])] = (cells[2].strip("`"), cells[3].strip("`"))
    return found


def test_all_ten_promises_stand_in_the_table() -> None:
    assert sorted(rows()) == list(range(1, 11))


def test_every_named_test_exists() -> None:
    for number, (test, _) in rows().items():
        file, _, name = test.partition("::")
        tree = ast.parse((PROJECT / file).read_text("utf-8"))
        names = {n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)}
        assert name in names, f"promise {number}"


def test_every_named_metric_exists() -> None:
    known = {re.sub("_total$", "", metric.name) for metric in REGISTRY.collect()}
    for number, (_, metric) in rows().items():
        assert metric.removesuffix("_total") in known, f"promise {number}"
