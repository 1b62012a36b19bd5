"""The AsyncAPI document in the eyes of the AsyncAPI Initiative's own parser (Node, pinned by integrity)."""

import fcntl
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from services.contracts.asyncapi import asyncapi_document
from services.contracts.registry import EVENTS, by_topic
from tests.conftest import PROJECT

HERE = Path(__file__).parent / "asyncapi"
INSTALLED = PROJECT / "var" / "asyncapi"
ERROR = 0


@pytest.fixture(scope="module")
def parser() -> Path:
    """The folder where the parser is installed; only CI insists on Node."""
    if not shutil.which("node") or not shutil.which("npm"):
        reason = "NOT CHECKED: the AsyncAPI document needs Node 18 or newer and npm; install them to run this test"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    INSTALLED.mkdir(parents=True, exist_ok=True)
    with (INSTALLED / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted = (HERE / "package-lock.json").read_bytes()
        done = INSTALLED / "installed.json"
        if not done.is_file() or done.read_bytes() != wanted:
            for name in ("package.json", "package-lock.json"):
                shutil.copy(HERE / name, INSTALLED)
            command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
            subprocess.run(command, cwd=INSTALLED, check=True, timeout=240)
            done.write_bytes(wanted)
    return INSTALLED


def diagnostics(document: dict[str, Any], parser: Path) -> list[dict[str, Any]]:
    command = ["node", str(HERE / "validate.mjs"), str(parser)]
    told = subprocess.run(command, input=json.dumps(document).encode(), capture_output=True, check=True, timeout=120)
    found: list[dict[str, Any]] = json.loads(told.stdout)["found"]
    return found


def errors(document: dict[str, Any], parser: Path) -> list[dict[str, Any]]:
    return [d for d in diagnostics(document, parser) if d["severity"] == ERROR]


def test_the_official_parser_accepts_the_document_with_every_event_on_its_topic(parser: Path) -> None:
    document = asyncapi_document()
    assert errors(document, parser) == []
    assert set(document["channels"]) == set(by_topic())
    assert set(document["components"]["messages"]) == {event.TYPE for event in EVENTS}


def test_the_official_parser_sees_a_missing_message_and_a_wrong_action(parser: Path) -> None:
    without = asyncapi_document()
    del without["components"]["messages"][EVENTS[0].TYPE]
    assert errors(without, parser)
    shouting = asyncapi_document()
    next(iter(shouting["operations"].values()))["action"] = "shout"
    assert errors(shouting, parser)
