"""Whatever a caller sends, the answer is never a fault of ours; dates outside the business era name their field."""

import json
import os
import random
from collections.abc import Iterator
from itertools import islice
from typing import Any

import pytest

from tests.access.house import SERVICES, Street
from tests.access.rows import MINE
from tests.access.sweep import Call, calls, dated
from tests.access.test_routes import DOCUMENT, PRIVATE, body_of, known_ids, prepare, queries_of
from tests.access.truth import Route

SEED = int(os.environ.get("KEYLINE_SWEEP_SEED", "20261124"))
_TOO_FAR = {"date": ("1989-12-31", "2101-01-01"), "date-time": ("1989-12-31T00:00:00Z", "2101-01-01T00:00:00Z")}


def _body(route: Route) -> Any:
    if "application/json" not in route.operation.get("requestBody", {}).get("content", {}):
        return None
    return body_of(route, MINE)


def _calls(route: Route, source: random.Random) -> Iterator[Call]:
    return calls(route, good=known_ids(route, MINE), query=queries_of(route, MINE), body=_body(route), source=source)


async def _as_everybody(street: Street) -> dict[str, str]:
    """The caller of each role that any route declares; each sees everything in every service."""
    roles = sorted({role for route in PRIVATE for role in route.declared_roles})
    for service in SERVICES:
        await street.town.grant_all(service, {f"sweep-{role}": [role] for role in roles}, kind="everything")
    return {role: f"sweep-{role}" for role in roles}


async def _sweep(street: Street, *, each: int, seed: int) -> None:
    print(f"seed {seed}, {each} calls for each of {len(PRIVATE)} routes")
    source = random.Random(seed)
    callers = await _as_everybody(street)
    wrong, answers = [], 0
    for route in PRIVATE:
        caller = callers[sorted(route.declared_roles)[0]]
        await prepare(street.town, route, caller=caller)
        for call in islice(_calls(route, source), each):
            status, text = await street.call(call.method, call.address, by=caller, data=call.data, header=call.header)
            answers += 1
            if status >= 500:
                wrong.append(f"{status} {call.wrong} {call}")
            elif status >= 400:
                problem = json.loads(text)
                assert problem["status"] == status, call
                assert problem["detail"], call
                assert not {"traceback", "sqlstate"} & {w.strip(":").lower() for w in text.split()}, call
    print(f"{answers} answers, {len(wrong)} faults")
    assert wrong == []


async def test_no_call_makes_a_service_fail(street: Street) -> None:
    await _sweep(street, each=8, seed=SEED)


@pytest.mark.long
@pytest.mark.timeout(3600)
async def test_no_call_of_twenty_thousand_makes_a_service_fail(street: Street) -> None:
    await _sweep(street, each=20_000 // len(PRIVATE) + 1, seed=SEED + 1)


def _dated_places(route: Route) -> Iterator[tuple[str, str, str]]:
    """(where, name, format) of each date that the route takes."""
    for parameter in route.operation.get("parameters", ()):
        if kind := dated(parameter["schema"], DOCUMENT):
            yield parameter["in"], parameter["name"], kind
    content = route.operation.get("requestBody", {}).get("content", {}).get("application/json")
    schema = content["schema"] if content else {}
    if "$ref" in schema:
        schema = DOCUMENT["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    for name, property_ in schema.get("properties", {}).items():
        inner = property_.get("items", property_)
        if kind := dated(inner, DOCUMENT):
            yield "list" if "items" in property_ else "body", name, kind


async def test_a_date_outside_the_business_era_is_refused_with_the_name_of_its_field(street: Street) -> None:
    tried, wrong = 0, []
    callers = await _as_everybody(street)
    for route in PRIVATE:
        for where, name, kind in _dated_places(route):
            caller = callers[sorted(route.declared_roles)[0]]
            for value in _TOO_FAR[kind]:
                call = next(_calls(route, random.Random(0)))
                call.query, body = queries_of(route, MINE), _body(route)
                call.path = route.path
                for parameter, good in known_ids(route, MINE).items():
                    call.path = call.path.replace(f"{{{parameter}}}", good)
                if where == "query":
                    call.query[name] = value
                else:
                    body[name] = [value] if where == "list" else value
                data = None if body is None else json.dumps(body).encode()
                status, text = await street.call(
                    call.method, call.address, by=caller, data=data, header={"Content-Type": "application/json"}
                )
                tried += 1
                if status != 422 or name not in json.loads(text)["field"].split("."):
                    wrong.append(f"{route.name} {name}={value}: {status} {text[:200]}")
    assert tried >= 20
    assert wrong == []
