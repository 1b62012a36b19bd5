"""Who may see what: tokens, grants, scopes; row-level security with the application's check removed."""

import base64
import json
import time
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import asyncpg
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey

from services.contracts.notify import AccessGrant, EngagementsChanged
from tests.kernel.echo import Said
from tests.kernel.house import AUDIENCE, EchoHouse

ALWAYS = datetime(2020, 1, 1, tzinfo=UTC)


def grant(person: str, role: str, kind: str, scope: str, *, until: datetime | None = None) -> AccessGrant:
    return AccessGrant(
        person_id=person, role=role, scope_kind=kind, scope_id=scope, valid_from=ALWAYS, valid_to=until  # type: ignore[arg-type]
    )  # fmt: skip


async def engage(house: EchoHouse, person: str, version: int, *grants: AccessGrant) -> None:
    await house.send(EngagementsChanged(person_id=person, version=version, grants=grants))
    await house.until(
        f"SELECT count(*) FROM echo.state_version WHERE aggregateid = '{person}' AND version = {version}",
        lambda rows: rows[0][0] == 1,
    )


async def two_customers(house: EchoHouse) -> None:
    await house.send(Said(customer_id="C1", words="one"), Said(customer_id="C2", words="two"))
    await house.until("SELECT count(*) FROM echo.heard", lambda rows: rows[0][0] == 2)
    await engage(house, "contact", 1, grant("contact", "customer-contact", "owner", "C1"))
    await engage(house, "clerk", 1, grant("clerk", "listener", "area", "U1"))
    await engage(house, "chief", 1, grant("chief", "listener", "everything", "all"))
    admin = await house.admin()
    await admin.execute("INSERT INTO echo.owner_area VALUES ('C2', 'U1')")
    await admin.close()


async def test_each_sees_the_rows_of_its_scope_and_foreign_ids_do_not_exist(signed: EchoHouse) -> None:
    await two_customers(signed)
    seen = {
        who: (await signed.call("GET", "/echo/v1/words", person_id=who))[1] for who in ("contact", "clerk", "chief")
    }
    assert {who: [w["words"] for w in rows] for who, rows in seen.items()} == {
        "contact": ["one"], "clerk": ["two"], "chief": ["one", "two"],
    }  # fmt: skip
    assert (await signed.call("GET", "/echo/v1/words/C1", person_id="contact"))[0] == 200
    status, problem = await signed.call("GET", "/echo/v1/words/C2", person_id="contact")
    assert (status, problem["title"]) == (404, "not-found")
    assert (await signed.call("GET", "/echo/v1/words", person_id="nobody"))[0] == 403


async def test_row_security_holds_without_the_applications_check(signed: EchoHouse) -> None:
    assert signed.child is not None
    await two_customers(signed)
    signed.child.kill()
    signed.start(module="tests.kernel.echo_unchecked").wait_ready()
    assert [w["words"] for w in (await signed.call("GET", "/echo/v1/words", person_id="contact"))[1]] == ["one"]
    assert (await signed.call("GET", "/echo/v1/words/C2", person_id="contact"))[0] == 404
    assert len((await signed.call("GET", "/echo/v1/words", person_id="chief"))[1]) == 2


async def test_the_api_login_sees_nothing_without_a_scope_and_no_partition_ever(signed: EchoHouse) -> None:
    await two_customers(signed)
    api = await signed.login("api")
    assert await api.fetch("SELECT * FROM echo.heard") == []
    partitions = await signed.rows(
        "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
        " JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'echo' AND c.relkind = 'r'"
    )
    assert len(partitions) >= 16
    for login in ("api", "worker"):
        connection = await signed.login(login)
        for (partition,) in partitions:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.fetch(f'SELECT * FROM echo."{partition}"')
        for sql in ("UPDATE echo.audit SET actor = 'x'", "DELETE FROM echo.audit", "CREATE TABLE echo.mine (i int)"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(sql)
        await connection.close()
    await api.close()


async def test_an_ended_engagement_loses_access_at_once(signed: EchoHouse) -> None:
    await two_customers(signed)
    assert (await signed.call("GET", "/echo/v1/words/C1", person_id="contact"))[0] == 200
    ended = datetime.now(UTC) - timedelta(seconds=1)
    await engage(signed, "contact", 2, grant("contact", "customer-contact", "owner", "C1", until=ended))
    assert (await signed.call("GET", "/echo/v1/words/C1", person_id="contact"))[0] == 403


async def test_no_forged_token_is_accepted(signed: EchoHouse) -> None:
    await two_customers(signed)
    good = signed.token("chief")
    now = int(time.time())
    claims = {"iss": signed.issuer, "aud": AUDIENCE, "sub": "chief", "iat": now, "exp": now + 600}
    kid = signed.key.kid
    stranger = ECKey.generate_key("P-256", {"kid": str(kid)}, private=True)

    def made(key: ECKey, header: dict[str, object] | None = None, **changed: object) -> str:
        return jwt.encode(
            {"alg": "ES256", "kid": kid, **(header or {})}, {**claims, **changed}, key, algorithms=["ES256"]
        )

    def unsigned(part: dict[str, object]) -> str:
        return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()

    secret = OctKey.import_key(json.dumps(signed.key.as_dict(private=False)))
    symmetric = jwt.encode({"alg": "HS256", "kid": kid}, claims, secret, algorithms=["HS256"])
    bad = {
        "none": "", "no scheme": good,
        "alg none": f"Bearer {unsigned({'alg': 'none', 'kid': kid})}.{unsigned(claims)}.",
        "hmac with the public key": f"Bearer {symmetric}",
        "foreign key": "Bearer " + made(stranger),
        "unknown kid": "Bearer " + made(stranger, {"kid": "other"}),
        "wrong issuer": "Bearer " + made(signed.key, iss="https://elsewhere.example"),
        "wrong audience": "Bearer " + made(signed.key, aud="other"),
        "expired": "Bearer " + made(signed.key, iat=now - 4000, exp=now - 2000),
        "not yet": "Bearer " + made(signed.key, nbf=now + 4000),
        "issued ahead": "Bearer " + made(signed.key, iat=now + 4000),
        "without subject": "Bearer " + made(signed.key, sub=""),
        "cut": f"Bearer {good[:-4]}", "changed body": f"Bearer {good.replace('.', '.e30', 1)}",
        "long": "Bearer " + good + "a" * 9000, "basic": f"Basic {good}",
    }  # fmt: skip
    answers = {
        name: (await signed.call("GET", "/echo/v1/words", header={"Authorization": value} if value else {}))[0]
        for name, value in bad.items()
    }
    assert set(answers.values()) == {401}, answers
    assert (await signed.call("GET", "/echo/v1/words", header={"Authorization": f"Bearer {good}"}))[0] == 200


async def test_a_repeated_write_answers_the_same_and_does_it_once(signed: EchoHouse) -> None:
    await engage(signed, "speaker", 1, grant("speaker", "speaker", "owner", "C1"))
    key = {"Idempotency-Key": uuid4().hex}
    body = {"customer_id": "C1", "words": "said over HTTP"}
    first = await signed.call("POST", "/echo/v1/words", person_id="speaker", body=body, header=key)
    again = await signed.call("POST", "/echo/v1/words", person_id="speaker", body=body, header=key)
    assert first == again
    assert first[0] == 201
    other = await signed.call("POST", "/echo/v1/words", person_id="speaker", body={**body, "words": "b"}, header=key)
    assert other[0] == 409
    assert await signed.rows("SELECT words FROM echo.heard") == [("said over HTTP",)]
    bare = await signed.call("POST", "/echo/v1/words", person_id="speaker", body=body, header={"Idempotency-Key": ""})
    assert (bare[0], bare[1]["field"]) == (400, "Idempotency-Key")
    foreign = await signed.call("POST", "/echo/v1/words", person_id="speaker", body={**body, "customer_id": "C9"})
    assert foreign[0] >= 400, "a row of a foreign customer was written"
    assert await signed.rows("SELECT count(*) FROM echo.audit WHERE action = 'heard'") == [(1,)]


async def test_bad_input_names_the_field_in_the_callers_language(signed: EchoHouse) -> None:
    await engage(signed, "speaker", 1, grant("speaker", "speaker", "owner", "C1"))
    for language, word in (("zh-CN", "修正字段"), ("en", "correct the field")):
        status, problem = await signed.call(
            "POST", "/echo/v1/words", person_id="speaker", body={"customer_id": "C1", "wrong": 1},
            header={"Accept-Language": language},
        )  # fmt: skip
        assert status == 422
        assert word in problem["detail"]
        assert problem["field"].startswith("body.")
    status, problem = await signed.call(
        "POST", "/echo/v1/words", person_id="speaker", body={"customer_id": "C1", "words": "x" * 1_100_000}
    )
    assert (status, problem["title"]) == (413, "too-large")


async def test_a_door_takes_outside_events_to_their_topic_and_the_service_reads_them_back(signed: EchoHouse) -> None:
    await engage(signed, "publisher", 1, grant("publisher", "data-publisher", "everything", "all"))
    item = {"type": Said.TYPE, "data": {"customer_id": "C5", "words": "through the door"}}
    status, answer = await signed.call("POST", "/echo/v1/doors/echo-said", person_id="publisher", body=[item])
    assert (status, answer) == (202, {"accepted": 1})
    await signed.until("SELECT words FROM echo.heard", lambda rows: [r[0] for r in rows] == ["through the door"])
    broken = {"type": Said.TYPE, "data": {"customer_id": "C5", "words": "a", "extra": 1}}
    status, problem = await signed.call("POST", "/echo/v1/doors/echo-said", person_id="publisher", body=[item, broken])
    assert (status, problem["field"]) == (422, "1.data.extra")


async def test_dead_letters_are_listed_and_skipped_over_http_by_the_administrator_only(signed: EchoHouse) -> None:
    await engage(signed, "root", 1, grant("root", "system-administrator", "everything", "all"))
    await signed.send_raw(Said.TOPIC, b"{", key=b"C1", header={"ce_id": "x", "ce_source": "t", "ce_type": Said.TYPE,
                                                               "ce_time": datetime.now(UTC).isoformat()})  # fmt: skip
    await signed.until("SELECT count(*) FROM echo.dead_letter", lambda rows: rows[0][0] == 1)
    assert (await signed.call("GET", "/echo/v1/dead-letters", person_id="chief"))[0] == 403
    status, [letter] = await signed.call("GET", "/echo/v1/dead-letters", person_id="root")
    assert status == 200
    path = f"/echo/v1/dead-letters/{letter['id']}/skip"
    assert (await signed.call("POST", path, person_id="root", body={"reason": "broken sender"}))[0] == 200
    assert (await signed.call("GET", "/echo/v1/dead-letters", person_id="root"))[1] == []
    assert await signed.rows("SELECT actor, reason FROM echo.audit WHERE action = 'dead-letter-skipped'") == [
        ("root", "broken sender")
    ]
