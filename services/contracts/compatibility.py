"""Whether a contract may still carry its version: compared with `released/`, the schemas of the last release.

An optional field keeps the version; anything else is a new class and type. `python -m services.contracts.compatibility`
lists what breaks that; `--release` makes today's schemas the released ones, once, when a release is cut.
"""

import argparse
import copy
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from services.contracts.examples import published_schema
from services.contracts.registry import EVENTS

RELEASED = Path(__file__).parent / "released"
_REMEDY = (
    "An optional field (with a default) keeps the version. For anything else leave this class as it is and add a class "
    "whose TYPE ends in the next .v<n> (on a compacted topic: on a new topic); emit both until nobody consumes the old "
    "one. 可选字段不改版本；其他改动请新增下一版本的类，并同时发出两者。"
)
_FOR_READERS = ("title", "description", "examples", "$schema", "$id", "x-internal")


def released() -> dict[str, dict[str, Any]]:
    """Type -> schema as of the last release."""
    files = sorted(RELEASED.glob("*.json"))
    return {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in files}


def breaches(before: Mapping[str, Mapping[str, Any]], after: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """A sentence per break of a promise, each with what to do instead."""
    found = []
    for type_, schema in before.items():
        if type_ not in after:
            found.append(f"{type_}: no longer exists; consumers may still wait for it. {_REMEDY}")
        else:
            found += [f"{type_}: {what}. {_REMEDY}" for what in _differences(_plain(schema), _plain(after[type_]))]
    return found


UNRELEASED = (
    "If no release carries the old form yet, `make contracts-released` takes today's schemas as the released ones. "
    "若旧格式尚未发布，可执行 make contracts-released。"
)


def as_consumers_read(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema without the producer's ban on unknown fields: consumers ignore them."""
    text = json.dumps(schema).replace('"additionalProperties": false', '"additionalProperties": true')
    relaxed: dict[str, Any] = json.loads(text)
    return relaxed


def _plain(schema: Mapping[str, Any]) -> dict[str, Any]:
    """One tree without references and without what only readers look at."""
    definitions = schema.get("$defs", {})

    def walk(node: Any, *, names: bool = False) -> Any:
        if isinstance(node, list):
            return [walk(item) for item in node]
        if not isinstance(node, dict):
            return node
        if "$ref" in node:
            return walk(copy.deepcopy(definitions[node["$ref"].rsplit("/", 1)[1]]))
        kept = {k: v for k, v in node.items() if names or (k not in _FOR_READERS and k != "$defs")}
        return {k: walk(v, names=k == "properties" and not names) for k, v in kept.items()}

    plain: dict[str, Any] = walk(dict(schema))
    return plain


def _differences(before: Any, after: Any, where: str = "body") -> Iterator[str]:
    if not isinstance(before, dict) or not isinstance(after, dict):
        if before != after:
            yield f"{where} changed from {_short(before)} to {_short(after)}"
        return
    old, new = before.get("properties", {}), after.get("properties", {})
    required = set(after.get("required", []))
    for name in old.keys() - new.keys():
        yield f"{where}.{name} was taken away"
    for name in (new.keys() - old.keys()) & required:
        yield f"{where}.{name} is new and required"
    for name in old.keys() & new.keys():
        yield from _differences(old[name], new[name], f"{where}.{name}")
    if changed := sorted((set(before.get("required", [])) ^ required) & old.keys() & new.keys()):
        yield f"{where}: {', '.join(changed)} changed between optional and required"
    for key in sorted((before.keys() | after.keys()) - {"properties", "required"}):
        yield from _differences(before.get(key), after.get(key), f"{where} ({key})")


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else text[:77] + "..."


def current() -> dict[str, dict[str, Any]]:
    return {event.TYPE: published_schema(event) for event in EVENTS}


def release() -> None:
    RELEASED.mkdir(exist_ok=True)
    wanted = {f"{type_}.json": schema for type_, schema in current().items()}
    for file in RELEASED.glob("*.json"):
        if file.name not in wanted:
            file.unlink()
    for name, schema in wanted.items():
        text = json.dumps(schema, ensure_ascii=False, indent=1, sort_keys=True) + "\n"
        (RELEASED / name).write_text(text, encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m services.contracts.compatibility", description=__doc__)
    parser.add_argument("--release", action="store_true", help="make today's schemas the released ones")
    if parser.parse_args().release:
        release()
        return 0
    found = breaches(released(), current())
    for sentence in [*found, UNRELEASED] if found else []:
        sys.stderr.write(f"{sentence}\n")
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
