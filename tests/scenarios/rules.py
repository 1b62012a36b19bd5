"""`python -m tests.scenarios.rules`: the named business rules, where each lives, and which scenarios show it.

A rule is declared where it lives, by a line `Rule <name>: <sentence>` in a docstring below `services/`; a scenario
names the rules it shows. Exits 1 when a rule has no scenario or a scenario names a rule that nobody declares.
"""

import ast
import re
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from tests.scenarios.language import SCENARIOS, load

SERVICES = Path(__file__).resolve().parents[2] / "services"
_LINE = re.compile(r"^\s*Rule ([a-z0-9][a-z0-9-]*): (\S.*)$", re.MULTILINE)


class DeclaredTwice(ValueError):
    """Two places claim the same rule."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    name: str
    sentence: str
    place: str


def declared(folder: Path = SERVICES) -> dict[str, Rule]:
    """Raises `DeclaredTwice`."""
    rules: dict[str, Rule] = {}
    for file in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            for name, sentence in _LINE.findall(ast.get_docstring(node) or ""):
                place = str(file.relative_to(folder.parent))
                if name in rules:
                    raise DeclaredTwice(f"rule {name} is declared in {rules[name].place} and in {place}")
                rules[name] = Rule(name=name, sentence=sentence, place=place)
    return rules


def shown() -> dict[str, list[str]]:
    """Rule -> the scenarios that say they show it."""
    found: dict[str, list[str]] = defaultdict(list)
    for folder in SCENARIOS:
        for name in load(folder).rules:
            found[name].append(folder.name)
    return dict(found)


def faults() -> list[str]:
    rules, scenarios = declared(), shown()
    uncovered = [
        f"{r.place}: rule {r.name} has no scenario; add a folder tests/scenarios/<what-it-shows>"
        for r in rules.values()
        if r.name not in scenarios
    ]
    unknown = [
        f"tests/scenarios/{where}: no docstring declares rule {name}"
        for name, folders in scenarios.items()
        if name not in rules
        for where in folders
    ]
    return [*uncovered, *unknown]


def main() -> int:
    scenarios = shown()
    for rule in declared().values():
        print(
            f"{rule.name}: {rule.sentence}\n    {rule.place} <- {', '.join(scenarios.get(rule.name, [])) or 'NOBODY'}"
        )
    found = faults()
    print("\n".join(found), file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
