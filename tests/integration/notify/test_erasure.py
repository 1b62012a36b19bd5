"""A person from the first word to the last: everything personal carries a canary, and after erasure none is found."""

import asyncio
import base64
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest

from deploy.local.postgres import PostgresServer
from services.contracts.marketing import Engagement, PersonChanged
from services.kernel.broker import Record
from services.kernel.consumer import Applier
from services.kernel.jobs import JobRunner
from services.kernel.migrate import ensure_roles, migrate
from services.kernel.work import EVERYTHING, Actor, Cause, Database
from services.notify.manifest import SERVICE
from services.notify.privacy.erasure import pseudonym
from tests.access.house import SERVICES
from tests.integration.notify.account import AccountHouse, open_account
from tests.integration.notify.house import NotifyHouse, record_of
from tests.integration.notify.test_delivery import YEAR, fault, part, profile
from tests.integration.notify.test_routes import post
from tests.integration.notify.test_wechat_account import bound
from tests.migrated import PASSWORD

NAME, PHONE, MAIL = "金丝雀甲", "13987654321", "canary.mail@example.com"
OPENID, WORDS, REPLY, TICKET = "o-canary-8c1f", "金丝雀的话", "金丝雀的答复", "金丝雀的工单"
REQUEST, BROKEN = "金丝雀的请求", "金丝雀坏档案"
CANARIES = (NAME, PHONE, MAIL, OPENID, WORDS, REPLY, TICKET, REQUEST, BROKEN)


@pytest.fixture
async def account(house: NotifyHouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[AccountHouse]:
    async with open_account(house, tmp_path, monkeypatch) as opened:
        yield opened


def canary_person() -> PersonChanged:
    held = Engagement(engagement_id="E-1", customer_id="C-1", role="customer-contact", valid_from=YEAR)
    return PersonChanged(person_id="P-1", version=1, name=NAME, phone=PHONE, email=MAIL, engagements=(held,))


async def passed_on(house: NotifyHouse, event: PersonChanged) -> None:
    """As the archive's door does it: through the outbox, then heard."""
    cause, actor = Cause(id=uuid4().hex, source="tests", type="tests"), Actor(person_id="archive")
    async with house.database.work(role="worker", cause=cause, actor=actor, scope=EVERYTHING) as work:
        work.emit(event)
    await house.hear(event)


async def other_services(house: NotifyHouse, postgres: PostgresServer) -> dict[str, Database]:
    """Their schemas beside ours in the same database."""
    dsn = f"{postgres.superuser_dsn.rsplit('/', 1)[0]}/{house.settings.database_name}"
    databases = {}
    for name, service in SERVICES.items():
        if name == "notify":
            continue
        passwords = {f"{name}_{role}": PASSWORD for role in ("api", "worker", "migrator")}
        await ensure_roles(admin_dsn=dsn, service=name, passwords=passwords)
        await migrate(service=service, settings=house.settings)
        databases[name] = Database(service=name, metadata=service.metadata, settings=house.settings)
    return databases


async def told_to_all(house: NotifyHouse, databases: dict[str, Database]) -> None:
    """What we said reaches the other services as their consumers take it."""
    types = {event.TYPE: event for event in SERVICE.publishes}
    for number, row in enumerate(await house.rows("SELECT type, aggregateid, payload FROM notify.outbox ORDER BY seq")):
        event = types.get(row["type"])
        for name, database in databases.items():
            heard = {c.event for c in SERVICES[name].consumes}
            if event in heard and event is not None and row["payload"] is not None:
                record = record_of(event.model_validate_json(row["payload"]), number, uuid4().hex)
                await Applier(service=SERVICES[name], database=database).apply(record)


async def whole_database(house: NotifyHouse) -> dict[str, str]:
    """Every row of every table of the four schemas, as text; bytes as hexadecimal digits."""
    tables = await house.rows(
        "SELECT table_schema || '.' || quote_ident(table_name) AS name FROM information_schema.tables"
        " WHERE table_schema = ANY($1) AND table_type = 'BASE TABLE'", sorted(SERVICES),
    )  # fmt: skip
    found = {}
    for table in tables:
        rows = await house.rows(f"SELECT t::text AS row FROM {table['name']} t")
        found[table["name"]] = "\n".join(r["row"] for r in rows)
    return found


def hits(text: str) -> list[str]:
    forms = [(c, (c, c.encode().hex(), base64.b64encode(c.encode()).decode().rstrip("="))) for c in CANARIES]
    return [canary for canary, written in forms if any(form in text for form in written)]


async def settled(house: NotifyHouse, job: str, sql: str) -> None:
    """Run one of the service's own jobs until the query finds nothing."""
    runner = JobRunner(jobs=tuple(j for j in SERVICE.jobs if j.name == job), database=house.database, holder="tests")
    task = asyncio.create_task(runner.run())
    try:
        async with asyncio.timeout(20):
            while await house.rows(sql):  # noqa: ASYNC110 - looks from outside
                await asyncio.sleep(0.1)
    finally:
        runner.running = False
        await task


async def live_a_life(account: AccountHouse) -> None:
    house = account.house
    await house.hear(profile("C-1", "A-1"), post("account-manager", "M-1", "C-1"), post("service-desk", "D-1", "C-1"))
    await passed_on(house, canary_person())
    await bound(account, OPENID)
    await account.sandbox.deed(OPENID, "say", text=WORDS)
    await account.pushed(1)
    assert (await account.call("POST", "/persons/P-1/wechat/replies", by="M-1", body={"text": REPLY}))[0] == 201
    await account.desk.turn()
    await house.hear(fault(part(1, 1, ("C-1", "A-1"))))
    await house.send_due()
    body = {"customer_id": "C-1", "kind": "complaint", "channel": "desk", "words": TICKET}
    assert (await account.call("POST", "/tickets", by="D-1", body=body))[0] == 201
    await house.rows("UPDATE notify.ticket SET opened_by = 'P-1'")
    whole = record_of(canary_person(), 900, uuid4().hex)
    spoilt = (whole.value or b"").replace(NAME.encode(), BROKEN.encode())[:-1]
    record = Record(
        topic=whole.topic, partition=0, offset=900, key=whole.key, value=spoilt, headers=whole.headers, timestamp_ms=0
    )
    assert await house.applier.apply(record) == "dead-lettered"


async def test_after_erasure_nothing_of_the_person_is_found_anywhere(
    account: AccountHouse, postgres: PostgresServer, tmp_path: Path
) -> None:
    house = account.house
    log = tmp_path / "service.log"
    handler = logging.FileHandler(log)
    logging.getLogger().addHandler(handler)
    databases = await other_services(house, postgres)
    try:
        await live_a_life(account)
        await told_to_all(house, databases)
        status, copy = await account.call("GET", "/persons/me/personal-data", by="P-1")
        assert status == 200 and hits(str(copy)) == [NAME, PHONE, MAIL, OPENID, WORDS, REPLY] and copy["purposes"]
        body = {"kind": "erasure", "words": REQUEST}
        assert (await account.call("POST", "/persons/M-1/privacy-requests", by="D-1", body=body))[0] == 404
        assert (await account.call("POST", "/persons/me/privacy-requests", by="P-1", body=body))[0] == 201
        before = await whole_database(house)
        assert hits(before["notify.dead_letter"]) and hits("\n".join(before.values()))
        keys = [r["wrapped_key"] for r in await house.rows("SELECT wrapped_key FROM notify.person")]
        keys += [r["wrapped_key"] for r in await house.rows("SELECT wrapped_key FROM notify.wechat_user")]
        await settled(house, "notify-erasure", "SELECT 1 FROM notify.privacy_request WHERE done_at IS NULL")
        after = await whole_database(house)
        assert {name: found for name, text in after.items() if (found := hits(text))} == {}
        assert not any(key.hex() in text for key in keys for text in after.values()), "a key survived"
        handler.flush()
        assert hits(log.read_text()) == []
        await proofs_remain(house)
    finally:
        logging.getLogger().removeHandler(handler)
        for database in databases.values():
            await database.close()


async def proofs_remain(house: NotifyHouse) -> None:
    told = await house.rows("SELECT DISTINCT person_id FROM notify.delivery")
    assert [r["person_id"] for r in told] == [pseudonym("P-1")]
    gone = await house.rows("SELECT topic, aggregateid FROM notify.outbox WHERE payload IS NULL ORDER BY topic")
    assert {r["topic"] for r in gone} >= {"marketing-contacts", "notify-directory"}
    audited = await house.rows("SELECT object_id FROM notify.audit WHERE action = 'person-erased'")
    assert [r["object_id"] for r in audited] == [pseudonym("P-1")]


async def test_who_holds_a_post_is_not_erased_and_what_is_old_goes_by_itself(account: AccountHouse) -> None:
    house = account.house
    await house.hear(profile("C-1", "A-1"), post("account-manager", "M-1", "C-1"))
    await house.rows(
        "INSERT INTO notify.access_grant (origin, ordinal, person_id, role, scope_kind, scope_id, valid_from)"
        " VALUES ('tests', 0, 'S-1', 'security-administrator', 'everything', '', now() - interval '1 day')"
    )
    await house.hear(canary_person().model_copy(update={"person_id": "M-1"}))
    status, problem = await account.call("POST", "/persons/me/privacy-requests", by="M-1", body={"kind": "erasure"})
    assert status == 409 and problem["title"] == "person-holds-a-post"
    body = {"kind": "correction", "words": "姓名有误"}
    status, asked = await account.call("POST", "/persons/me/privacy-requests", by="M-1", body=body)
    assert status == 201
    settle = f"/privacy-requests/{asked['request_id']}/settle"
    assert [(await account.call("POST", settle, by="S-1"))[0] for _ in range(2)] == [204, 404]
    audited = await house.rows("SELECT actor FROM notify.audit WHERE action LIKE 'privacy-%' ORDER BY seq")
    assert [a["actor"] for a in audited] == ["M-1", "S-1"]
    await account.sandbox.follow("o-old")
    await account.sandbox.deed("o-old", "say", text=WORDS)
    await account.pushed(1)
    for days, left in ((179, 1), (2, 0)):
        await house.rows(f"UPDATE notify.wechat_push SET received_at = received_at - interval '{days} days'")
        await house.rows("DELETE FROM notify.job_lease")
        await settled(
            house,
            "notify-retention",
            "SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM notify.job_lease WHERE last_finished_at IS NOT NULL)",
        )
        assert len(await house.rows("SELECT 1 FROM notify.wechat_push")) == left
