"""The route that is answered in one statement: as strict, as audited and as worded as those that take several."""

import asyncio
import json
import random
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import asyncpg
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from deploy.local.processes import free_port
from services.kernel.app import build_app
from services.kernel.auth.dev_issuer import build_issuer, issue
from services.kernel.auth.grants import access_of
from services.kernel.hot_reads import call_of
from services.kernel.work import Actor, Cause, set_scope
from services.portrait.customers.one_customer import READ_CUSTOMER
from tests.access.house import AUDIENCE, SERVICES, Street, Town
from tests.access.rows import MINE, THEIRS
from tests.listening import listening

PATH = "/portrait/v1/customers"
STAFF = ["account-manager", "department-head"]
CALL = call_of("portrait", READ_CUSTOMER)
THE_FRAMEWORKS_WAY = "?seen=twice"
"""A query makes the request one that the framework answers; no route knows this parameter."""


async def _audited(town: Town, *actors: str) -> Counter[tuple[str, str | None]]:
    admin = await town.admin()
    rows = await admin.fetch(
        "SELECT actor, owner_id FROM portrait.audit WHERE action = 'customer-read' AND actor = ANY ($1)", list(actors)
    )
    await admin.close()
    return Counter((r["actor"], r["owner_id"]) for r in rows)


async def test_both_ways_to_the_route_say_the_same(street: Street) -> None:
    """Before the framework and inside it: status, body and headers, for every kind of caller and of question."""
    grant = street.town.grant
    await grant("portrait", "head", "department-head", kind="everything")
    await grant("portrait", "student", "analyst", kind="everything")
    await grant("portrait", "own", "customer-contact", kind="owner", scope_id=MINE)
    await grant("portrait", "inspecting", "inspector", kind="everything")
    pseudonym = street.pseudonym(MINE, kind="customer")
    asked = [
        (person, customer)
        for person in ("head", "student", "own", "inspecting", "")
        for customer in (MINE, THEIRS, "C-unknown", pseudonym, "_no-customer", "x" * 80, "a b", "%00", "p.zz")
    ]
    statuses: Counter[int] = Counter()
    for person, customer in asked:
        before = await street.call("GET", f"{PATH}/{customer}", by=person)
        inside = await street.call("GET", f"{PATH}/{customer}{THE_FRAMEWORKS_WAY}", by=person)
        assert before == inside, (person, customer)
        statuses[before[0]] += 1
    assert set(statuses) == {200, 401, 403, 404, 422}
    assert statuses[200] == 4, "head both, student by pseudonym, own one"
    headers = []
    for query in ("", THE_FRAMEWORKS_WAY):
        bearer = {"Authorization": f"Bearer {street.token('head')}", "traceparent": f"00-{'a' * 32}-{'b' * 16}-01"}
        async with street.session.get(f"{street.url}{PATH}/{MINE}{query}", headers=bearer) as answer:
            headers.append({n.lower(): v for n, v in answer.headers.items() if n.lower() != "date"})
    assert headers[0] == headers[1]


async def test_the_score_is_that_of_the_scores(street: Street) -> None:
    await street.town.grant("portrait", "head", "department-head", kind="everything")
    for _ in range(2):
        _, one = await street.call("GET", f"{PATH}/{MINE}", by="head")
        _, many = await street.call("GET", f"{PATH}/{MINE}/scores?limit=1", by="head")
        assert json.loads(one)["score"] == json.loads(many)[0]


async def test_a_withdrawn_grant_is_refused_with_the_next_request(street: Street) -> None:
    """The token was verified before and is remembered; what it may do is looked up each time."""
    await street.town.grant("portrait", "leaver", "account-manager", kind="owner", scope_id=MINE)
    bearer = {"Authorization": f"Bearer {street.token('leaver')}"}
    for _ in range(3):
        assert (await street.call("GET", f"{PATH}/{MINE}", header=bearer))[0] == 200
    await street.town.grant("portrait", "leaver", kind="owner")
    status, text = await street.call("GET", f"{PATH}/{MINE}", header=bearer)
    assert (status, json.loads(text)["field"]) == (403, "Authorization")
    await street.town.grant("portrait", "leaver", "account-manager", kind="owner", scope_id=THEIRS)
    assert (await street.call("GET", f"{PATH}/{MINE}", header=bearer))[0] == 404
    assert (await street.call("GET", f"{PATH}/{THEIRS}", header=bearer))[0] == 200


async def test_a_remembered_token_ends_with_its_time_and_with_the_key_that_signed_it(town: Town) -> None:
    await town.grant("portrait", "head", "department-head", kind="everything")
    key = ECKey.generate_key("P-256", {"kid": "one", "use": "sig"}, private=True)
    port, issuer_port = free_port(), free_port()
    issuer = f"http://127.0.0.1:{issuer_port}"
    settings = town.settings.model_copy(update={"oidc_issuer": issuer, "oidc_jwks_url": f"{issuer}/jwks.json"})
    app = build_app([SERVICES["portrait"]], settings=settings, role="api")
    async with listening(app, port), aiohttp.ClientSession() as session:

        async def status_of(token: str) -> int:
            header = {"Authorization": f"Bearer {token}"}
            async with session.get(f"http://127.0.0.1:{port}{PATH}/{MINE}", headers=header) as answer:
                return answer.status

        now = int(time.time())
        claims = {"iss": issuer, "aud": AUDIENCE, "sub": "head", "iat": now - 90, "exp": now - 57}
        ending = jwt.encode({"alg": "ES256", "kid": "one"}, claims, key, algorithms=["ES256"])
        lasting = issue(key=key, issuer=issuer, audience=AUDIENCE, person_id="head")
        async with listening(build_issuer(key=key, issuer=issuer, audience=AUDIENCE, environment="test"), issuer_port):
            assert [await status_of(t) for t in (ending, ending, lasting)] == [200, 200, 200], "60 s of leeway"
            await asyncio.sleep(4)
            assert [await status_of(t) for t in (ending, lasting)] == [401, 200]
        other = ECKey.generate_key("P-256", {"kid": "one", "use": "sig"}, private=True)
        async with listening(
            build_issuer(key=other, issuer=issuer, audience=AUDIENCE, environment="test"), issuer_port
        ):
            app.state.verifier._fetched_at = float("-inf")  # ten minutes later
            assert await status_of(issue(key=other, issuer=issuer, audience=AUDIENCE, person_id="head")) == 200
            assert await status_of(lasting) == 401


async def test_callers_who_come_together_see_what_each_may_see_and_each_leaves_a_row(street: Street) -> None:
    scopes: dict[str, dict[str, Any]] = {
        "t-mine": {"kind": "owner", "scope_id": MINE}, "t-theirs": {"kind": "owner", "scope_id": THEIRS},
        "t-all": {"kind": "everything"}, "t-none": {"kind": "owner", "scope_id": "C-none"},
    }  # fmt: skip
    for person, scope in scopes.items():
        await street.town.grant("portrait", person, "account-manager", **scope)
    sees = {"t-mine": {MINE}, "t-theirs": {THEIRS}, "t-all": {MINE, THEIRS}, "t-none": set(), "t-unknown": set()}
    asked = [(person, customer) for person in sees for customer in (MINE, THEIRS)] * 20
    random.Random(11).shuffle(asked)
    before = await _audited(street.town, *sees)
    tokens = {person: street.token(person) for person in sees}

    async def ask(person: str, customer: str) -> tuple[int, str]:
        return await street.call("GET", f"{PATH}/{customer}", header={"Authorization": f"Bearer {tokens[person]}"})

    answers = await asyncio.gather(*[ask(*pair) for pair in asked])
    for (person, customer), (status, text) in zip(asked, answers, strict=True):
        refused = 403 if person == "t-unknown" else 404
        assert status == (200 if customer in sees[person] else refused), (person, customer, text)
        assert status != 200 or json.loads(text)["customer_id"] == customer
    assert await _audited(street.town, *sees) - before == Counter(
        {(person, customer): 20 for person, customers in sees.items() for customer in customers}
    )


@pytest.mark.parametrize("checked", [True, False], ids=["with the application's check", "row security alone"])
async def test_row_security_holds_for_each_caller_of_a_statement(town: Town, checked: bool) -> None:
    """As the API's login, without the service: any order of callers, and nothing of a scope stays behind."""
    await town.grant("portrait", "s-mine", "account-manager", kind="owner", scope_id=MINE)
    await town.grant("portrait", "s-area", "account-manager", kind="area", scope_id="U-77")
    await town.grant("portrait", "s-all", "account-manager", kind="everything")
    admin = await town.admin()
    await admin.execute("INSERT INTO portrait.owner_area VALUES ($1, 'U-77') ON CONFLICT DO NOTHING", THEIRS)
    api = await town.login("portrait", "api")
    sees = {"s-mine": {MINE}, "s-area": {THEIRS}, "s-all": {MINE, THEIRS}, "s-nobody": set()}
    asked = [(person, customer) for person in sees for customer in (MINE, THEIRS, None)] * 3
    try:
        for seed in range(10):
            random.Random(seed).shuffle(asked)
            persons, owners = [a[0] for a in asked], [a[1] for a in asked]
            rows = await api.fetch(CALL, STAFF, [], datetime.now(UTC), checked, persons, owners, owners, persons)
            assert len(rows) == len(asked)
            for (person, customer), row in zip(asked, rows, strict=True):
                expected = "forbidden" if person == "s-nobody" else "read" if customer in sees[person] else "absent"
                assert row["outcome"] == expected, (person, customer)
                shown = {value for value in row.values() if isinstance(value, str)} & {MINE, THEIRS}
                assert shown == ({customer} if expected == "read" else set())
            assert await api.fetch("SELECT 1 FROM portrait.profile") == [], "a scope stayed behind the statement"
    finally:
        await admin.execute("DELETE FROM portrait.owner_area WHERE area_id = 'U-77'")
        await api.close()
        await admin.close()


async def test_only_the_apis_login_may_call_and_it_cannot_see_more_by_calling(town: Town) -> None:
    worker = await town.login("portrait", "worker")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await worker.fetch(CALL, STAFF, [], datetime.now(UTC), True, ["s-all"], [MINE], [None], ["x"])
    await worker.close()
    admin = await town.admin()
    definer = await admin.fetchval(
        "SELECT prosecdef FROM pg_proc WHERE proname = 'read_customer' AND pronamespace = 'portrait'::regnamespace"
    )
    await admin.close()
    assert definer is False, "it would run as the owner of the tables"


async def test_grants_mean_the_same_in_the_statement_and_in_the_other_routes(town: Town) -> None:
    """Role, scope and in whose place: 60 random sets of grants, read once by each."""
    rng, now = random.Random(20261127), datetime.now(UTC)
    admin, api, database = await town.admin(), await town.login("portrait", "api"), town.database("portrait")
    await admin.execute("INSERT INTO portrait.owner_area VALUES ($1, 'U-88') ON CONFLICT DO NOTHING", MINE)
    many, few = ["account-manager", "customer-contact", "department-head"], ["analyst"]
    try:
        for number in range(60):
            person = f"g-{number}"
            for ordinal in range(rng.randrange(5)):
                kind = rng.choice(["everything", "owner", "area", "none"])
                scope_id = rng.choice([MINE, THEIRS]) if kind == "owner" else rng.choice(["U-88", "U-99"])
                since = now + timedelta(minutes=rng.choice([-5, -5, -5, 5]))
                until = rng.choice([None, None, now + timedelta(minutes=1), now - timedelta(minutes=1)])
                await admin.execute(
                    "INSERT INTO portrait.access_grant (origin, ordinal, person_id, role, scope_kind, scope_id,"
                    " acting_for, valid_from, valid_to) VALUES ($1, $2, $1, $3, $4, $5, $6, $7, $8)", person, ordinal,
                    rng.choice([*many, *few, "inspector"]), kind, scope_id, rng.choice([None, "boss", "aunt"]), since,
                    until,
                )  # fmt: skip
            expected = await _as_other_routes(database, person, many=frozenset(many), few=frozenset(few))
            row = (await api.fetch(CALL, many, few, now, True, [person], [MINE], [MINE], [f"cause {person}"]))[0]
            noted = await admin.fetchrow("SELECT role, acting_for FROM portrait.audit WHERE cause_id = $1",
                                         f"cause {person}")  # fmt: skip
            found = (row["outcome"], row["caller_role"], noted and (noted["role"], noted["acting_for"]))
            assert found == expected, person
    finally:
        await admin.execute("DELETE FROM portrait.owner_area WHERE area_id = 'U-88'")
        await database.close()
        await api.close()
        await admin.close()


async def _as_other_routes(
    database: Any, person: str, *, many: frozenset[str], few: frozenset[str]
) -> tuple[str, str | None, tuple[str | None, str | None] | None]:
    cause = Cause(id=person, source="tests", type="read")
    async with database.work(role="api", cause=cause, actor=Actor(person_id=person)) as work:
        access = await access_of(work, person_id=person, roles=many) or await access_of(
            work, person_id=person, roles=few
        )
        if access is None:
            return "forbidden", None, None
        work.actor, work.scope = access
        await set_scope(work.db, work.scope)
        raw = await work.raw()
        if not await raw.fetchval("SELECT count(*) FROM portrait.profile WHERE customer_id = $1", MINE):
            return "absent", work.actor.role, None
        return "read", work.actor.role, (work.actor.role, await work.acting_for(MINE))


async def test_a_lost_connection_is_told_and_made_again(street: Street) -> None:
    await street.town.grant("portrait", "head", "department-head", kind="everything")
    assert (await street.call("GET", f"{PATH}/{MINE}", by="head"))[0] == 200
    admin = await street.town.admin()
    ended = await admin.fetch(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'keyline-portrait-api-hot'"
        " AND datname = current_database()"
    )
    await admin.close()
    assert ended
    statuses = [(await street.call("GET", f"{PATH}/{MINE}", by="head"))[0] for _ in range(4)]
    assert set(statuses) <= {200, 503}
    assert statuses[-1] == 200


async def test_a_caller_whose_name_cannot_be_stored_fails_alone(street: Street) -> None:
    await street.town.grant("portrait", "head", "department-head", kind="everything")
    asked = ["head", "he\0ad", "head", "he\0\0ad", "head"]
    answers = await asyncio.gather(*[street.call("GET", f"{PATH}/{MINE}", by=person) for person in asked])
    assert [status for status, _ in answers] == [200, 422, 200, 422, 200]
