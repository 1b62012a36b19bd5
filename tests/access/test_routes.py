"""Every route of the four OpenAPI documents over HTTP: who may call it, whose rows it shows, what a write needs."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest

from services.contracts.examples import example_of
from services.kernel.auth import grants
from services.kernel.http import KeylineRoute
from services.kernel.letters_api import letters_router
from services.portrait.reference_data import shipped
from tests.access.bodies import photo_form, sample
from tests.access.house import SERVICES, Street, Town
from tests.access.rows import MINE, THEIRS, id_of, refill
from tests.access.truth import Route, build, read_truth, routes

TRUTH = read_truth()
DOCUMENT = build().openapi()
ROUTES = routes(DOCUMENT)
PRIVATE = [r for r in ROUTES if r.name not in TRUTH.public]
WRITES = sorted((r for r in PRIVATE if r.method != "GET"), key=lambda r: r.method == "DELETE")
OF_CUSTOMERS = [r for r in PRIVATE if set(r.parameters) & TRUTH.scoped.keys() or r.name in TRUTH.scoped_here]
LETTER = "11111111-1111-4111-8111-111111111111"
LIMITS = {
    f"{method} {route.path}": route.max_body_size
    for router in (r for s in SERVICES.values() for r in (*s.routers, letters_router(s.name)))
    for route in router.routes
    for method in getattr(route, "methods", ())
    if isinstance(route, KeylineRoute) and route.max_body_size is not None
}
_ID_LIKE = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")


def known_ids(route: Route, customer_id: str) -> dict[str, str]:
    """A value for each parameter of the path: this customer's, or one of the house."""
    of_the_house = {
        "month": "2026-05", "letter_id": LETTER, "part": "1", "kind": "prices", "version": "v1", "import_id": LETTER,
        "provider": "mail",
        "event_class": "fault-outage",
    }  # fmt: skip
    if route.service == "notify":
        of_the_house["version"] = "shipped"
    return {name: of_the_house.get(name) or id_of(name, customer_id) for name in route.parameters}


def queries_of(route: Route, customer_id: str) -> dict[str, str]:
    """The query that the route demands."""
    said = TRUTH.queries.get(route.name, "").removeprefix("?")
    return {n: v.replace("{customer_id}", customer_id) for n, v in parse_qsl(said)}


def address(route: Route, customer_id: str) -> str:
    """The route's path with this customer's ids in it, and the query it demands."""
    known, query = known_ids(route, customer_id), urlencode(queries_of(route, customer_id))
    return re.sub(r"\{(\w+)\}", lambda m: known[m[1]], route.path) + (f"?{query}" if query else "")


_OPEN_LETTER = """
INSERT INTO {service}.dead_letter
(id, consumer, topic, type, source, event_id, partition, "offset", reason, detail, headers)
VALUES ('{letter_id}', 't', 't', 't', 't', 't', 0, 0, 'undecodable', '', '{{}}')
ON CONFLICT (id) DO UPDATE SET status = 'open'"""


async def prepare(town: Town, route: Route, *, caller: str) -> None:
    """What the table says has to stand in the database before `caller` calls the route."""
    said = [TRUTH.prepare[route.name]] if route.name in TRUTH.prepare else []
    if "letter_id" in route.parameters:
        said.append(_OPEN_LETTER.format(service=route.service, letter_id=LETTER))
    await _execute(town, said, caller)


async def _execute(town: Town, said: list[str], caller: str) -> None:
    if not said:
        return
    admin = await town.admin()
    try:
        for sql in said:
            await admin.execute(sql.replace("{caller}", caller))
    finally:
        await admin.close()


def body_of(route: Route, customer_id: str) -> Any:
    """The table's own body, an example of the contracts for a door, or the smallest one of the document."""
    if route.name in TRUTH.bodies:
        text = json.dumps(TRUTH.bodies[route.name]).replace("$sha256", "0" * 64)
        return json.loads(re.sub(r"\{(\w+_id)\}", lambda m: id_of(m[1], customer_id), text))
    if "/doors/" in route.path:
        event = next(e for e in SERVICES[route.service].relays if route.path.endswith(f"/{e.TOPIC}"))
        return [{"type": event.TYPE, "data": example_of(event)}]
    if route.name == "POST /portrait/v1/class-rules":
        return {**shipped("class_rules_demo"), "version": "entered-1", "effective_from": "2099-01-01"}
    return sample(route.operation["requestBody"]["content"]["application/json"]["schema"], DOCUMENT)


def seen_from(street: Street, route: Route, *, by: str, customer_id: str) -> str:
    """The address as this caller knows it: with pseudonyms where the service is veiled for the role."""
    veil, known = SERVICES[route.service].veil, known_ids(route, customer_id)
    if veil is None or by.split("-", 1)[-1] not in veil.roles:
        return address(route, customer_id)
    for name in known.keys() & veil.identifiers.keys():
        known[name] = street.pseudonym(known[name], kind=veil.identifiers[name])
    query = urlencode(queries_of(route, customer_id))
    return re.sub(r"\{(\w+)\}", lambda m: known[m[1]], route.path) + (f"?{query}" if query else "")


async def call(street: Street, route: Route, *, by: str, customer_id: str = MINE, **more: Any) -> tuple[int, str]:
    content = route.operation.get("requestBody", {}).get("content", {})
    path = seen_from(street, route, by=by, customer_id=customer_id)
    if "multipart/form-data" in content:
        data, kind = photo_form()
        header = {"Content-Type": kind, **more.pop("header", {})}
        return await street.call(
            route.method, path, by=by, data=data, header=header, **more
        )  # fmt: skip
    if "application/octet-stream" in content:
        return await street.call(route.method, path, by=by, data=b"part", **more)
    body = body_of(route, customer_id) if "application/json" in content else None
    return await street.call(route.method, path, by=by, body=body, **more)


async def _everyone(street: Street, *, kind: grants.ScopeKind, scope_id: str, prefix: str) -> None:
    """One person per role, in every service."""
    roles_of = {f"{prefix}-{role}": [role] for role in sorted(TRUTH.roles)}
    for service in SERVICES:
        await street.town.grant_all(service, roles_of, kind=kind, scope_id=scope_id)


@pytest.fixture(params=["with the application's check", "row security alone"])
async def mine_only(street: Street, request: pytest.FixtureRequest) -> AsyncIterator[Street]:
    """Persons whose scope is one customer; once more with the application's own check taken out."""
    await _everyone(street, kind="owner", scope_id=MINE, prefix="mine")
    if request.param == "row security alone":
        grants.disable_application_check()
    yield street
    grants._application_check = True


def test_the_table_names_every_route_and_no_other() -> None:
    named = TRUTH.allowed.keys() | TRUTH.public.keys()
    assert {r.name for r in ROUTES} - named == set(), "run: python -m tests.access.truth"
    assert named - {r.name for r in ROUTES} == set(), "no such route"
    assert len(ROUTES) >= 50


def test_the_table_and_the_documents_tell_the_same_roles() -> None:
    differing = {r.name: sorted(r.declared_roles ^ TRUTH.allowed[r.name]) for r in PRIVATE}
    assert {name: roles for name, roles in differing.items() if roles} == {}
    unknown = {role for roles in TRUTH.allowed.values() for role in roles} - TRUTH.roles
    assert unknown == set(), "no such role"
    for route in ROUTES:
        if route.name in TRUTH.public:
            assert route.declared_roles == {"public"}


def test_every_path_parameter_is_a_customers_or_has_a_reason_why_not() -> None:
    used = {p for r in ROUTES for p in r.parameters}
    assert used - TRUTH.scoped.keys() - TRUTH.unscoped.keys() == set()
    assert not TRUTH.scoped.keys() & TRUTH.unscoped.keys()


async def test_each_role_may_call_its_routes_and_no_other(street: Street) -> None:
    """403 comes before the body is read: what passes the door may still be refused for its content."""
    await _everyone(street, kind="owner", scope_id="C-none", prefix="role")
    wrong, roles = [], sorted(TRUTH.roles)
    for route in PRIVATE:
        path = address(route, "C-none")
        answers = await asyncio.gather(*[street.call(route.method, path, by=f"role-{role}") for role in roles])
        for role, (status, text) in zip(roles, answers, strict=True):
            refused = status == 403 and json.loads(text).get("field") == "Authorization"
            if refused is (role in TRUTH.allowed[route.name]) or status == 401 or status >= 500:
                wrong.append(f"{route.name} {role}: {status}")
    print(f"{len(PRIVATE)} routes x {len(TRUTH.roles)} roles = {len(PRIVATE) * len(TRUTH.roles)} answers")
    assert wrong == []


async def test_nobody_comes_in_without_a_token(street: Street) -> None:
    answers = {r.name: (await street.call(r.method, address(r, MINE)))[0] for r in PRIVATE}
    assert {name: status for name, status in answers.items() if status != 401} == {}


async def test_a_foreign_id_does_not_exist_whatever_the_role(mine_only: Street) -> None:
    assert len(OF_CUSTOMERS) >= 12
    wrong, tried = [], 0
    for route in OF_CUSTOMERS:
        for role in sorted(TRUTH.allowed[route.name]):
            tried += 1
            await prepare(mine_only.town, route, caller=f"mine-{role}")
            status, text = await call(mine_only, route, by=f"mine-{role}", customer_id=THEIRS)
            if status != 404:
                wrong.append(f"{route.name} {role}: {status} {text[:200]}")
    print(f"{tried} foreign ids")
    assert wrong == []


async def test_the_same_ids_exist_for_who_may_see_them(street: Street) -> None:
    """Else the 404 of the test above would prove nothing."""
    await _everyone(street, kind="everything", scope_id="", prefix="all")
    missing = []
    for route in sorted(OF_CUSTOMERS, key=lambda r: r.method == "DELETE"):
        role = sorted(TRUTH.allowed[route.name])[0]
        await prepare(street.town, route, caller=f"all-{role}")
        status, text = await call(street, route, by=f"all-{role}", customer_id=THEIRS)
        if status == 404 or status >= 500:
            missing.append(f"{route.name} {role}: {text[:120]}")
    admin = await street.town.admin()
    for service in SERVICES.values():
        await refill(admin, service)
    await admin.close()
    assert missing == []


async def test_no_answer_holds_anything_of_another_customer(mine_only: Street) -> None:
    theirs = {id_of(c.name, THEIRS) for s in SERVICES.values() for t in s.own_tables for c in t.columns}
    leaks, broken, shown = [], [], set()
    for route in (r for r in PRIVATE if r.method == "GET"):
        for role in sorted(TRUTH.allowed[route.name]):
            await prepare(mine_only.town, route, caller=f"mine-{role}")
            status, text = await call(mine_only, route, by=f"mine-{role}")
            if status < 300:
                shown.add(route.name)
            if status >= 500:
                broken.append(f"{route.name} {role}: {status}")
            if THEIRS in text or set(_ID_LIKE.findall(text)) & theirs:
                leaks.append(f"{route.name} {role}: {status} {text[:300]}")
    assert broken == []
    assert leaks == []
    unseen = {r.name for r in PRIVATE if r.method == "GET"} - shown
    assert unseen - TRUTH.shows_nothing.keys() == set(), (
        "these answers show no row, so nothing was looked at: " + "\n".join(sorted(unseen))
    )


async def _announce(street: Street, method: str, path: str, *, length: int, patience_s: float) -> int:
    """The answer to a body of this length; 0 when the server waits for the body before it answers."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(street.url.rsplit(":", 1)[1]))
    head = [
        f"{method} {path} HTTP/1.1", "Host: localhost", f"Authorization: Bearer {street.token('writer')}",
        "Idempotency-Key: one-long-enough", "Content-Type: application/json", f"Content-Length: {length}", "", "",
    ]  # fmt: skip
    writer.write("\r\n".join(head).encode())
    try:
        line = await asyncio.wait_for(reader.readline(), timeout=patience_s)
        return int(line.split()[1])
    except TimeoutError:
        return 0
    finally:
        writer.close()


@pytest.mark.parametrize("route", WRITES, ids=lambda r: r.name)
async def test_a_write_needs_an_idempotency_key_and_a_body_within_its_limit(street: Street, route: Route) -> None:
    role = sorted(TRUTH.allowed[route.name])[0]
    await street.town.grant(route.service, "writer", role, kind="everything")
    path = address(route, MINE)
    keys = ("", "short", "x" * 129, "spaces are bad")
    limit = LIMITS[route.name]
    assert limit <= 8_500_000
    (beyond, within), refused = await asyncio.gather(
        asyncio.gather(
            _announce(street, route.method, path, length=limit + 1, patience_s=5),
            _announce(street, route.method, path, length=limit, patience_s=0.2),
        ),
        asyncio.gather(
            *[street.call(route.method, path, by="writer", header={"Idempotency-Key": bad}) for bad in keys]
        ),
    )
    for bad, (status, text) in zip(keys, refused, strict=True):
        assert (status, json.loads(text)["field"]) == (400, "Idempotency-Key"), bad
    assert beyond == 413
    assert within != 413


@pytest.mark.parametrize("route", WRITES, ids=lambda r: r.name)
async def test_a_write_leaves_an_audit_row_and_a_repeat_leaves_none(street: Street, route: Route) -> None:
    if route.name in TRUTH.audited_elsewhere:
        return
    role = sorted(TRUTH.allowed[route.name])[0]
    await street.town.grant(route.service, f"auditee-{role}", role, kind="everything")
    admin = await street.town.admin()
    try:
        await prepare(street.town, route, caller=f"auditee-{role}")
        count = f"SELECT count(*) FROM {route.service}.audit WHERE actor = 'auditee-{role}'"
        before = await admin.fetchval(count)
        key = {"Idempotency-Key": f"audit-of-{abs(hash(route.name))}"}
        first = await call(street, route, by=f"auditee-{role}", header=key)
        assert first[0] < 300, f"give a body in truth.yaml, or the test that shows it: {first}"
        after = await admin.fetchval(count)
        assert after > before, "no audit row"
        again = await call(street, route, by=f"auditee-{role}", header=key)
        assert again == first
        assert await admin.fetchval(count) == after, "a repeat acted again"
    finally:
        if route.method == "DELETE":
            await refill(admin, SERVICES[route.service])
        await admin.close()


@pytest.mark.parametrize("name", sorted(TRUTH.second_person))
async def test_nobody_approves_their_own_request(street: Street, name: str) -> None:
    route = next(r for r in WRITES if r.name == name)
    for role in sorted(TRUTH.allowed[name]):
        caller = f"first-{role}"
        await street.town.grant(route.service, caller, role, kind="everything")
        await prepare(street.town, route, caller=caller)
        await _execute(street.town, [TRUTH.second_person[name]], caller)
        status, text = await call(street, route, by=caller)
        assert (status, json.loads(text)["title"]) == (403, "self-approval"), role


def test_what_is_audited_elsewhere_is_shown_there() -> None:
    from tests.conftest import PROJECT

    for name, where in TRUTH.audited_elsewhere.items():
        assert name in TRUTH.allowed
        file, _, test = where.partition("::")
        source = (PROJECT / file).read_text(encoding="utf-8")
        assert f"def {test}(" in source, where
        body = source.split(f"def {test}(", 1)[1].split("\nasync def ", 1)[0]
        assert "audit" in body, f"{where} does not look at the audit trail"
