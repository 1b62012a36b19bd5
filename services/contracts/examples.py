"""One real-looking example per event, in `examples/<type>.json`: for readers, for the schemas, and for the tests."""

import json
from pathlib import Path
from typing import Any

from services.contracts.envelope import Event, schema_of

EXAMPLES = Path(__file__).parent / "examples"


class NoExample(ValueError):
    """An event without an example, or one that breaks its own contract."""


def example_of(event: type[Event]) -> dict[str, Any]:
    """The body as a producer sends it. Raises `NoExample` naming the file to write."""
    file = EXAMPLES / f"{event.TYPE}.json"
    if not file.is_file():
        raise NoExample(f"{event.TYPE} has no example: write one to services/contracts/examples/{file.name}")
    body: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return body


def exemplar(event: type[Event]) -> Event:
    """The example as an object, held to the producer's strictness."""
    return event.model_validate_json(json.dumps(example_of(event)))


def published_schema(event: type[Event]) -> dict[str, Any]:
    """The body's JSON Schema with the example in it."""
    return {**schema_of(event), "examples": [example_of(event)]}
