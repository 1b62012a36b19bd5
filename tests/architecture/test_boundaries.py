"""The boundaries that `lint-imports` holds: whole as they are, and seen to break where a violation is planted."""

import ast
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import PROJECT

PLANTED = {
    "services/outage/views.py": "import services.inspection.tables",
    "services/kernel/clock.py": "import services.portrait.queries",
    "services/contracts/grid.py": "import sqlalchemy",
    "services/inspection/rules/oil_temperature.py": "import sqlalchemy",
    "services/outage/rules/notice.py": "import services.kernel.clock",
    "services/inspection/tables.py": "import services.inspection.actions.hazards",
    "services/inspection/queries.py": "import services.inspection.api",
    "services/inspection/adapters/photos.py": "import services.inspection.tables",
    "services/portrait/scoring/month.py": "import services.portrait.events_in",
    "services/notify/adapters/wechat/crypto.py": "import services.notify.directory.persons",
    "services/outage/utils.py": "",
    "services/shared.py": "",
}
TOLD = [
    "services.outage is not allowed to import services.inspection",
    "services.kernel is not allowed to import services.portrait",
    "services.contracts is not allowed to import sqlalchemy",
    "services.inspection.rules is not allowed to import sqlalchemy",
    "services.outage.rules is not allowed to import services.kernel",
    "services.inspection.tables is not allowed to import services.inspection.actions",
    "services.inspection.queries is not allowed to import services.inspection.api",
    "services.inspection.adapters is not allowed to import services.inspection.tables",
    "services.portrait.scoring is not allowed to import services.portrait.events_in",
    "services.notify.adapters is not allowed to import services.notify.directory",
    "- services.outage.utils",
    "- services.shared",
]


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"], cwd=folder, capture_output=True, text=True,
        check=False, env={"PATH": "/usr/bin:/bin", "COLUMNS": "400", "PYTHONPATH": str(folder)},
    )  # fmt: skip


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    shutil.copytree(PROJECT / "services", tmp_path / "services", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(PROJECT / ".importlinter", tmp_path)
    return tmp_path


def test_the_boundaries_hold_and_every_planted_violation_is_seen(copied: Path) -> None:
    whole = lint(copied)
    assert whole.returncode == 0, whole.stdout
    for name, line in PLANTED.items():
        file = copied / name
        text = file.read_text(encoding="utf-8") if file.exists() else '"""Planted."""\n'
        file.write_text(f"{text}\n{line}\n", encoding="utf-8")
    broken = lint(copied)
    assert broken.returncode == 1
    told = " ".join(broken.stdout.split())
    assert [sentence for sentence in TOLD if sentence not in told] == []


def _imports(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: imports are absolute"
            yield node.module or ""


def _strange(files: Iterator[Path], allowed: tuple[str, ...]) -> dict[str, list[str]]:
    found = {
        str(file.relative_to(PROJECT)): [
            name
            for name in _imports(file)
            if name.split(".")[0] not in (*sys.stdlib_module_names, *allowed) and not name.startswith(allowed)
        ]
        for file in files
    }
    return {file: names for file, names in found.items() if names}


CLOCKS_AND_DICE = ("time.time", "time.monotonic", "time.perf_counter", "random.", "uuid4", "uuid.uuid4")


@pytest.mark.parametrize("service", ["inspection", "outage", "portrait", "notify"])
def test_rules_know_the_standard_library_numpy_and_each_other_and_have_no_clock_and_no_dice(service: str) -> None:
    files = list((PROJECT / "services" / service).rglob("rules/**/*.py"))
    assert _strange(iter(files), ("numpy", f"services.{service}.")) == {}
    for file in files:
        called = {ast.unparse(n.func) for n in ast.walk(ast.parse(file.read_text())) if isinstance(n, ast.Call)}
        asked = {c for c in called if c.endswith((".now", ".today", ".utcnow")) or c.startswith(CLOCKS_AND_DICE)}
        assert asked == set(), f"{file.name} asks for the hour or throws dice: pass it in"


def test_contracts_know_pydantic_and_nothing_else() -> None:
    assert _strange((PROJECT / "services" / "contracts").glob("*.py"), ("pydantic", "services.contracts")) == {}


def test_only_the_kernel_opens_and_ends_transactions() -> None:
    """One commit place: the unit of work. A savepoint is no commit."""
    ends = {"commit", "rollback", "begin", "create_async_engine", "sessionmaker"}
    found: dict[str, list[str]] = {}
    for file in (PROJECT / "services").rglob("*.py"):
        calls = [n for n in ast.walk(ast.parse(file.read_text(encoding="utf-8"))) if isinstance(n, ast.Call)]
        names = [n.func.attr if isinstance(n.func, ast.Attribute) else getattr(n.func, "id", "") for n in calls]
        if transactions := sorted({name for name in names if name in ends}):
            found[str(file.relative_to(PROJECT / "services"))] = transactions
    assert {name for name in found if not name.startswith("kernel/")} == set()
    assert "commit" in found["kernel/broker.py"], "the search finds what it looks for"
    assert "begin" in found["kernel/work.py"]


def test_only_the_kernel_speaks_to_the_broker() -> None:
    users = {
        str(file.relative_to(PROJECT / "services"))
        for file in (PROJECT / "services").rglob("*.py")
        if any(name.split(".")[0] == "aiokafka" for name in _imports(file))
    }
    assert {name for name in users if not name.startswith("kernel/")} == set()
