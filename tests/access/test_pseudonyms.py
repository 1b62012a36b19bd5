"""Who studies customers without knowing them, who runs the machines without seeing them, who only reads."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from services.kernel.veil import Pseudonyms
from tests.access.house import SERVICES, Street
from tests.access.rows import MINE, THEIRS, id_of
from tests.access.test_routes import LETTER, PRIVATE, TRUTH, call, prepare

VEILED = {name: s.veil for name, s in SERVICES.items() if s.veil is not None}
OPEN = [r for r in PRIVATE if r.service in VEILED and set(r.declared_roles) & VEILED[r.service].roles]
NAMES = ("account_id", "usage_point_id", "meter_id", "site_id", "group_id", "asset_id")


def of_customers() -> set[str]:
    """What an answer must not hold: names and identifiers of either customer as the rows have them."""
    customers = (MINE, THEIRS)
    return {*customers, *(id_of(n, c) for n in NAMES for c in customers), *(f"{c}name" for c in customers)}


def said(text: str) -> set[str]:
    """Every text and member of a JSON answer; the words themselves where it is none."""
    try:
        return set(_texts(json.loads(text)))
    except ValueError:
        return set(text.split())


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield name
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
    elif isinstance(value, str):
        yield value


async def _everybody(street: Street, role: str) -> str:
    for service in SERVICES:
        await street.town.grant(service, f"all-{role}", role, kind="everything")
    return f"all-{role}"


async def test_an_analyst_sees_pseudonyms_on_every_route(street: Street) -> None:
    analyst, shown, leaks = await _everybody(street, "analyst"), 0, []
    for route in OPEN:
        await prepare(street.town, route, caller=analyst)
        status, text = await call(street, route, by=analyst)
        assert status < 500, route.name
        shown += status < 300
        if found := of_customers() & said(text):
            leaks.append(f"{route.name}: {sorted(found)} in {text[:300]}")
    print(f"{shown} of {len(OPEN)} routes answered with rows")
    assert shown >= 15
    assert leaks == []


def test_what_cannot_carry_pseudonyms_is_no_route_of_a_veiled_role() -> None:
    """A file or picture would be refused; the table of roles must not promise it."""
    for route in OPEN:
        good = {
            kind for code, a in route.operation["responses"].items() if code < "300" for kind in a.get("content", {})
        }
        assert good <= {"application/json"}, route.name


async def test_a_pseudonym_is_the_same_everywhere_and_names_the_customer_in_a_route(street: Street) -> None:
    analyst, manager = await _everybody(street, "analyst"), await _everybody(street, "department-head")
    _, plain = await street.call("GET", "/portrait/v1/customers", by=manager)
    _, veiled = await street.call("GET", "/portrait/v1/customers", by=analyst)
    pairs = {
        a["customer_id"]: b["customer_id"]
        for a, b in zip(json.loads(plain)["items"], json.loads(veiled)["items"], strict=True)
    }
    assert len(set(pairs.values())) == len(pairs) >= 2
    status, one = await street.call("GET", f"/portrait/v1/customers/{pairs[MINE]}", by=analyst)
    assert (status, json.loads(one)["customer_id"]) == (200, pairs[MINE])
    status, outages = await street.call("GET", f"/outage/v1/customers/{pairs[MINE]}/outages", by=analyst)
    assert (status, json.loads(outages)["customer_id"]) == (200, pairs[MINE])
    for guess in (MINE, pairs[MINE][:-1], f"{pairs[MINE]}x", "p.", f"p.{MINE}", street.pseudonym(MINE, kind="account")):
        assert (await street.call("GET", f"/portrait/v1/customers/{guess}", by=analyst))[0] == 404, guess


async def test_pages_go_on_from_a_pseudonym(street: Street) -> None:
    analyst = await _everybody(street, "analyst")
    _, text = await street.call("GET", "/portrait/v1/customers?limit=1", by=analyst)
    first = json.loads(text)
    _, text = await street.call("GET", f"/portrait/v1/customers?limit=1&after={first['next_after']}", by=analyst)
    assert json.loads(text)["items"][0]["customer_id"] not in {first["items"][0]["customer_id"], MINE, THEIRS}
    status, text = await street.call("GET", f"/portrait/v1/customers?after={MINE}", by=analyst)
    assert (status, json.loads(text)["field"]) == (422, "after")


async def test_another_role_shows_its_own_customers_by_name_and_lends_its_scope_to_no_pseudonym(street: Street) -> None:
    """Who is an analyst of all and manager of one sees that one, plainly; the wide scope comes with the veil only."""
    await street.town.grant("portrait", "both", "account-manager", kind="owner", scope_id=MINE)
    await street.town.grant("portrait", "both", "analyst", kind="everything", origin="another-post")
    _, text = await street.call("GET", "/portrait/v1/customers", by="both")
    assert [c["customer_id"] for c in json.loads(text)["items"]] == [MINE]
    _, text = await street.call("GET", "/portrait/v1/score-runs", by="both")
    assert not of_customers() & said(text), "a route of the analyst alone stays veiled"


async def test_a_system_administrator_sees_no_customer(street: Street) -> None:
    admin = await _everybody(street, "system-administrator")
    for service in SERVICES:
        await _letter(street, service)
    for route in (r for r in PRIVATE if "system-administrator" in r.declared_roles and r.method == "GET"):
        status, text = await call(street, route, by=admin)
        assert status < 500, route.name
        assert not of_customers() & said(text), f"{route.name}: {text[:300]}"
    guard = await _everybody(street, "security-administrator")
    _, text = await street.call("GET", f"/notify/v1/dead-letters/{LETTER}", by=guard)
    assert json.loads(text)["detail"] == f"of {MINE}"
    assert (await street.call("POST", f"/notify/v1/dead-letters/{LETTER}/skip", by=guard, body={"reason": "no"}))[
        0
    ] == 403


async def _letter(street: Street, service: str) -> None:
    connection = await street.town.admin()
    await connection.execute(
        f'INSERT INTO {service}.dead_letter (id, consumer, topic, type, source, event_id, partition, "offset",'
        " reason, detail, headers, record_key, body) VALUES ($1, 't', 't', 't', 't', 't', 0, 0, 'undecodable', $2,"
        " $3, $4, $4) ON CONFLICT (id) DO UPDATE SET status = 'open', detail = $2, headers = $3, record_key = $4,"
        " body = $4",
        LETTER, f"of {MINE}", json.dumps({"ce_subject": MINE}), MINE.encode(),
    )  # fmt: skip
    await connection.close()


def test_an_auditor_reads_only() -> None:
    """Beside their own messages, preferences and personal data, which everybody has."""
    own = ("/notify/v1/inbox/", "/notify/v1/preferences", "/notify/v1/persons/me/privacy-requests")
    written = [r for r in PRIVATE if "auditor" in TRUTH.allowed[r.name] and r.method != "GET"]
    assert [r.name for r in written if not r.path.startswith(own)] == []


def _keys() -> Iterator[bytes]:
    yield from (bytes([n]) * 32 for n in range(3))


def test_pseudonyms_are_stable_keyed_and_apart_by_kind() -> None:
    made: set[str] = set()
    for key in _keys():
        for kind in ("customer", "account"):
            one = Pseudonyms(key).of("C-1", kind=kind)
            assert one == Pseudonyms(key).of("C-1", kind=kind)
            assert Pseudonyms(key).opened(one, kind=kind) == "C-1"
            made.add(one)
    assert len(made) == 6


@pytest.mark.parametrize("value", ["", "C-1", "p.", "p.x", "p.====", "p.\u0000", "p.AAAA", "p." + "A" * 4_000])
def test_what_is_no_pseudonym_opens_to_nothing(value: Any) -> None:
    assert Pseudonyms(bytes(32)).opened(value, kind="customer") is None
