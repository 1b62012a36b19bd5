"""Dated data that ship with the service until the department enters its own."""

import json
from importlib.resources import files
from typing import Any


def shipped(name: str) -> dict[str, Any]:
    """The document `data/<name>.json`. Raises FileNotFoundError."""
    document: dict[str, Any] = json.loads((files(__package__) / "data" / f"{name}.json").read_text("utf-8"))
    return document
