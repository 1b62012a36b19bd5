"""Calls that no client should make, drawn from the OpenAPI documents by a seed: a good call with a few wrong places."""

import copy
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from tests.access.truth import Route

WORDS: tuple[Any, ...] = (
    "", " ", "\x00", "a\x00b", "\ud800", "'; DROP TABLE x; --", "%", "_", "../../etc/passwd", "a" * 300, "a" * 5_000,
    "龘" * 70, "-", "2026-13-45", "2026-13-45,S-1", "2026-00", "2099-12", "0001-01-01", "9999-12-31", "2101-01-01",
    "1989-12-31T23:59:59Z", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "2026-02-30", "NaN", "1e999", "-1",
    "99999999999999999999", "11111111-1111-4111-8111-111111111111", "{}", "[]", "null", "true", "=1+1",
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    *WORDS, None, True, 0, -1, 1.5, 2**31, 2**63, -(2**63), 10**30, 1e308, 5e-324, [], {}, [[]], [None], [""],
    {"a": {"b": ["c"]}}, ["a"] * 2_000, [[1, 2], [3]],
)  # fmt: skip
BODIES: tuple[bytes, ...] = (
    b"", b"null", b"[]", b"{}", b'"text"', b"{", b"\xff\xfe", b"[" * 5_000, b'{"a":1,"a":2}', b"NaN", b'{"a":1e999}',
    b'{"customer_id":"C-2","role":"auditor"}',
)  # fmt: skip


@dataclass(kw_only=True)
class Call:
    method: str
    path: str
    query: dict[str, str]
    header: dict[str, str] = field(default_factory=dict)
    data: bytes | None = None
    wrong: list[str] = field(default_factory=list)
    """Which places are not as a client would send them."""

    @property
    def address(self) -> str:
        said = "&".join(f"{quote(n)}={_quoted(v)}" for n, v in self.query.items())
        return self.path + (f"?{said}" if said else "")

    def __str__(self) -> str:
        return f"{self.method} {self.address[:300]} {(self.data or b'')[:300]!r}"


def _quoted(value: str) -> str:
    return quote(value.encode("utf-8", "surrogatepass"), safe="")


def calls(
    route: Route, *, good: dict[str, str], query: dict[str, str], body: Any, source: random.Random
) -> Iterator[Call]:
    """Without end. `good` are path parameters and `query` and `body` what the route takes willingly."""
    declared = [p["name"] for p in route.operation.get("parameters", ()) if p["in"] == "query"]
    while True:
        call = Call(method=route.method, path="", query=dict(query), header={"Content-Type": "application/json"})
        names, said = dict(good), copy.deepcopy(body)
        for _ in range(source.choice((1, 1, 1, 2, 3))):
            place = source.choice(["path"] * bool(names) + ["query"] + ["body"] * 4 * (body is not None))
            if place == "path":
                name = source.choice(sorted(names))
                names[name] = str(source.choice(WORDS))
            elif place == "query":
                name = source.choice([*declared, "unknown"])
                call.query[name] = str(source.choice(WORDS))
            else:
                said = _broken(said, source)
                name = "body"
            call.wrong.append(f"{place}.{name}")
        call.path = route.path
        for name, value in names.items():
            call.path = call.path.replace(f"{{{name}}}", _quoted(value))
        if body is not None:
            call.data = source.choice(BODIES) if source.random() < 0.1 else json.dumps(said).encode()
        yield call


def _broken(body: Any, source: random.Random) -> Any:
    """One leaf or branch of the body replaced, taken away or added."""
    places = list(_places(body))
    if not places or source.random() < 0.05:
        return copy.deepcopy(source.choice(VALUES))
    holder, key = source.choice(places)
    deed = source.random()
    if deed < 0.15:
        del holder[key]
    elif deed < 0.25 and isinstance(holder, dict):
        holder["unknown"] = copy.deepcopy(source.choice(VALUES))
    else:
        holder[key] = copy.deepcopy(source.choice(VALUES))
    return body


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every (container, key or index) below `value`."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key
        yield from _places(value[key])


def dated(schema: dict[str, Any], document: dict[str, Any]) -> str | None:
    """`date` or `date-time` where the schema takes one, also beside null."""
    if "$ref" in schema:
        return dated(document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]], document)
    branches = [schema, *schema.get("anyOf", ())]
    return next((b["format"] for b in branches if b.get("format") in {"date", "date-time"}), None)
