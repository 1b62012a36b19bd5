"""Write the published form of the contracts: JSON Schemas and the AsyncAPI document.

`python -m services.contracts.generate` writes; with `--check` it changes nothing and exits 1 when a file is stale.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from services.contracts.asyncapi import asyncapi_document
from services.contracts.compatibility import UNRELEASED, breaches, current, released
from services.contracts.examples import EXAMPLES, NoExample, exemplar, published_schema
from services.contracts.registry import EVENTS

_HERE = Path(__file__).parent
GOLDEN = _HERE / "golden"
ASYNCAPI = _HERE.parent.parent / "docs" / "reference" / "asyncapi.json"


def published() -> dict[Path, str]:
    """File -> content, the same for the same contracts."""
    files = {GOLDEN / f"{event.TYPE}.json": _text(published_schema(event)) for event in EVENTS}
    return files | {ASYNCAPI: _text(asyncapi_document())}


def stale() -> list[Path]:
    """Files that are missing, differ, or belong to no contract."""
    wanted = published()
    differing = [p for p, text in wanted.items() if not p.exists() or p.read_text(encoding="utf-8") != text]
    return sorted(differing + [p for p in GOLDEN.glob("*.json") if p not in wanted])


def unexplained() -> list[str]:
    """What a reader of the reference would miss: titles and examples."""
    found = []
    for event in EVENTS:
        if not event.TITLE_ZH:
            found.append(f"{event.TYPE}: its class needs a TITLE_ZH, what happened in Chinese")
        try:
            exemplar(event)
        except NoExample as missing:
            found.append(str(missing))
        except ValidationError as error:
            found.append(f"{event.TYPE}: its example breaks its contract: {error.errors(include_url=False)[0]}")
    strange = {p.stem for p in EXAMPLES.glob("*.json")} - {event.TYPE for event in EVENTS}
    return found + [f"{name}: an example of no contract; delete examples/{name}.json" for name in sorted(strange)]


def write() -> None:
    wanted = published()
    for path in stale():
        if path in wanted:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(wanted[path], encoding="utf-8")
        else:
            path.unlink()


def _text(document: dict[str, Any]) -> str:
    return json.dumps(document, ensure_ascii=False, indent=2, sort_keys=True) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m services.contracts.generate", description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 when a file is stale")
    checking = parser.parse_args().check
    wrong = unexplained()
    if not wrong and (broken := breaches(released(), current())):
        wrong = [*broken, UNRELEASED]
    if wrong:
        sys.stderr.write("\n".join(wrong) + "\n")
        return 1
    if not checking:
        write()
        return 0
    outdated = stale()
    for path in outdated:
        sys.stderr.write(f"{path.name} is stale; run python -m services.contracts.generate\n")
    return 1 if outdated else 0


if __name__ == "__main__":
    raise SystemExit(main())
