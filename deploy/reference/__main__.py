"""`python -m deploy.reference [--check]`: writes docs/reference and the READMEs' tables, or says which are stale."""

import argparse
import json
import sys
from importlib import import_module
from pathlib import Path

from deploy.reference.events import events_page
from deploy.reference.readme import with_contents
from services.kernel.app import build_app
from services.kernel.manifest import Service
from services.kernel.settings import KernelSettings

PROJECT = Path(__file__).resolve().parents[2]
REFERENCE = PROJECT / "docs" / "reference"
SERVICES = ("inspection", "outage", "portrait", "notify")


def manifests() -> list[Service]:
    return [import_module(f"services.{name}.manifest").SERVICE for name in SERVICES]


def openapi(service: Service) -> str:
    app = build_app([service], settings=KernelSettings(environment="test"), role="api")
    return json.dumps(app.openapi(), ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def published() -> dict[Path, str]:
    """File -> content, the same for the same manifests."""
    services = manifests()
    files = {REFERENCE / "openapi" / f"{s.name}.json": openapi(s) for s in services}
    files[REFERENCE / "events.md"] = events_page(services)
    for service in services:
        readme = PROJECT / "services" / service.name / "README.md"
        files[readme] = with_contents(readme.read_text(encoding="utf-8"), service)
    return files


def stale() -> list[Path]:
    return [file for file, text in published().items() if not file.exists() or file.read_text(encoding="utf-8") != text]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m deploy.reference", description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 when a file is stale")
    checking = parser.parse_args().check
    wanted = published()
    outdated = stale()
    for file in outdated:
        if checking:
            sys.stderr.write(f"{file.relative_to(PROJECT)} is stale; run make contracts\n")
        else:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(wanted[file], encoding="utf-8")
    return 1 if checking and outdated else 0


if __name__ == "__main__":
    raise SystemExit(main())
