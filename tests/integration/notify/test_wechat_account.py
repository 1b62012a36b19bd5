"""The Official Account from both sides: the sandbox pushes and answers over HTTP, people bind, write and leave."""

import asyncio
import base64
import io
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from PIL import Image

from deploy.wechat_sandbox.settings import DEFAULT_APP_ID
from services.notify.adapters.wechat.crypto import page_signature
from services.notify.directory.vault import vault
from tests.integration.notify.account import AccountHouse, new_browser, open_account
from tests.integration.notify.house import NotifyHouse
from tests.integration.notify.test_delivery import person, profile
from tests.integration.notify.test_routes import post
from tests.migrated import PASSWORD

CANARY = "金丝雀-请勿外传"


@pytest.fixture
async def account(house: NotifyHouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[AccountHouse]:
    await house.hear(
        profile("C-1", "A-1"), person("P-1", "C-1"), person("P-2", "C-1"),
        post("account-manager", "M-1", "C-1"), post("account-manager", "M-2", "C-2"),
    )  # fmt: skip
    async with open_account(house, tmp_path, monkeypatch) as opened:
        yield opened


async def bound(account: AccountHouse, openid: str, person_id: str = "P-1") -> None:
    await account.sandbox.follow(openid)
    async with new_browser() as browser:
        back = await account.login(await account.invitation(person_id), openid, browser=browser)
        assert (await account.get(back, browser=browser))[0] == 200


async def test_an_invitation_binds_one_person_once_and_every_other_way_is_refused(account: AccountHouse) -> None:
    await account.sandbox.follow("o-1")
    link = await account.invitation("P-1")
    assert (await account.call("POST", "/persons/P-1/wechat/invitations", by="M-2"))[0] == 404
    async with new_browser() as mine, new_browser() as other:
        status, _, _ = await account.get(f"{link}?redirect_uri=https://evil.example", browser=mine)
        assert status == 422
        assert (await account.get(link[:-4] + "AAAA", browser=mine))[0] == 410
        back = await account.login(link, "o-1", browser=mine)
        assert urlsplit(back).hostname == "127.0.0.1" and urlsplit(back).path == "/notify/v1/wechat/bound"
        assert (await account.get(f"{back}&next=https://evil.example", browser=mine))[0] == 422
        assert (await account.get(back, browser=other))[0] == 403  # the state belongs to the other browser
        foreign = await account.login(link, "o-1", browser=other)
        swapped = (
            f"{back.split('?')[0]}?code={parse_qs(urlsplit(back).query)['code'][0]}&state="
            + (parse_qs(urlsplit(foreign).query)["state"][0])
        )
        assert (await account.get(swapped, browser=mine))[0] == 403
        assert (await account.get(back, browser=mine))[0] == 200
        assert (await account.get(back, browser=mine))[0] == 403  # one use
        assert (await account.get(foreign, browser=other))[0] == 410  # the invitation is used up
        assert (await account.get(link, browser=mine))[0] == 410
    audited = await account.house.rows("SELECT action, actor FROM notify.audit WHERE action LIKE 'wechat-%'")
    assert [tuple(r) for r in audited] == [("wechat-invited", "M-1"), ("wechat-bound", "system:wechat")]
    status, me = await account.call("GET", "/persons/me", by="P-1")
    assert "wechat" in [c["kind"] for c in me["contacts"]]


async def test_codes_states_and_openids_do_not_work_twice_and_a_snapshot_user_is_told_what_to_do(
    account: AccountHouse,
) -> None:
    await bound(account, "o-1")
    link = await account.invitation("P-2")
    async with new_browser() as browser:
        back = await account.login(link, "o-1", browser=browser)
        status, _, text = await account.get(back, browser=browser)
        assert status == 409 and "已绑定其他联系人" in text
        used = parse_qs(urlsplit(back).query)["code"][0]
        await account.sandbox.follow("o-2")
        fresh = await account.login(link, "o-2", browser=browser)
        state = parse_qs(urlsplit(fresh).query)["state"][0]
        replayed = f"{fresh.split('?')[0]}?code={used}&state={state}"
        assert (await account.get(replayed, browser=browser))[0] == 403
        assert (await account.get(fresh, browser=browser))[0] == 403  # its state went with the attempt
        back = await account.login(link, "o-2", browser=browser, snapshot=True)
        status, _, text = await account.get(back, browser=browser)
        assert status == 403 and "使用完整服务" in text
        late = await account.login(link, "o-2", browser=browser)
        await account.house.rows("UPDATE notify.wechat_login SET expires_at = now() - interval '1 second'")
        assert (await account.get(late, browser=browser))[0] == 403
    assert await account.sandbox.count("sns/oauth2/access_token 40163") == 1
    rows = await account.house.rows("SELECT person_id FROM notify.contact WHERE kind = 'wechat'")
    assert [r["person_id"] for r in rows] == ["P-1"]


async def test_what_people_write_is_stored_once_in_every_mode_and_format(account: AccountHouse) -> None:
    await account.sandbox.follow("o-1")
    for number, (mode, format_) in enumerate(
        [(m, f) for m in ("encrypted", "compatible", "plain") for f in ("xml", "json")], start=1
    ):
        await account.sandbox.behave(push_mode=mode, push_format=format_)
        await account.sandbox.deed("o-1", "say", text=f"{CANARY}{number}")
        await account.pushed(number)
        await account.sandbox.call("POST", "/sandbox/pushes", {"openid": "o-1", "tamper": "replay"})
    assert len(await account.pushed(6)) == 6
    refused = await account.sandbox.call(
        "POST", "/sandbox/pushes",
        {"openid": "o-1", "msg_type": "text", "fields": {"Content": "x", "MsgId": 1}, "tamper": "old_timestamp"},
    )  # fmt: skip
    assert set(refused["attempts"]) == {"HTTP 403"}
    dump = str([dict(r) for r in await account.house.rows("SELECT * FROM notify.wechat_push")])
    assert CANARY not in dump and "o-1" not in dump


async def test_a_manager_answers_inside_the_window_and_its_count_is_shown(account: AccountHouse) -> None:
    await bound(account, "o-1")
    assert (await account.call("POST", "/persons/P-1/wechat/replies", by="M-1", body={"text": "您好"}))[0] == 409
    await account.sandbox.deed("o-1", "say", text="几点来电？")
    await account.pushed(1)
    status, seen = await account.call("GET", "/persons/P-1/wechat", by="M-1")
    assert [(w["deed"], w["left"]) for w in seen["windows"]] == [("message", 5)]
    assert [m["text"] for m in seen["messages"]] == ["几点来电？"]
    assert (await account.call("GET", "/persons/P-1/wechat", by="M-2"))[0] == 404
    for left in (4, 3, 2, 1, 0):
        status, answer = await account.call("POST", "/persons/P-1/wechat/replies", by="M-1", body={"text": f"余{left}"})
        assert status == 201 and answer["window"][0]["left"] == left
    assert (await account.call("POST", "/persons/P-1/wechat/replies", by="M-1", body={"text": "多"}))[0] == 409
    await account.desk.turn()
    assert [m["content"]["content"] for m in await account.sandbox.seen("o-1", kind="custom")] == [
        "余4", "余3", "余2", "余1", "余0",
    ]  # fmt: skip
    audited = await account.house.rows("SELECT * FROM notify.audit WHERE action = 'wechat-replied' AND actor = 'M-1'")
    assert len(audited) == 5
    await account.sandbox.deed("o-1", "click", key="REPAIR")
    await account.pushed(2)
    seen = (await account.call("GET", "/persons/P-1/wechat", by="M-1"))[1]
    assert ("menu", 3) in [(w["deed"], w["left"]) for w in seen["windows"]]
    await account.sandbox.jump(61)  # WeChat's minute is over, ours is not: it decides
    assert (await account.call("POST", "/persons/P-1/wechat/replies", by="M-1", body={"text": "迟"}))[0] == 201
    await account.desk.turn()
    seen = (await account.call("GET", "/persons/P-1/wechat", by="M-1"))[1]
    assert seen["windows"] == [] and seen["messages"][0]["state"] == "failed"
    assert "45047" in seen["messages"][0]["reason"]


async def test_a_photo_is_fetched_at_once_cleaned_and_kept_under_the_senders_key(account: AccountHouse) -> None:
    await account.sandbox.follow("o-1")
    picture, exif = io.BytesIO(), Image.Exif()
    exif[0x9286] = CANARY.encode()
    Image.new("RGB", (64, 48), (200, 10, 10)).save(picture, "JPEG", exif=exif)
    assert CANARY.encode() in picture.getvalue()
    await account.sandbox.deed("o-1", "show", picture=base64.b64encode(picture.getvalue()).decode())
    await account.sandbox.deed("o-1", "show", picture=base64.b64encode(b"MZ no picture").decode())
    await account.pushed(2)
    await account.desk.turn()
    rows = await account.house.rows("SELECT * FROM notify.wechat_media ORDER BY content_type NULLS LAST")
    assert [(r["content_type"], r["next_try_at"]) for r in rows] == [("image/jpeg", None), (None, None)]
    assert rows[1]["problem"] == "neither a picture, a voice nor a video"
    [user] = await account.house.rows("SELECT * FROM notify.wechat_user")
    key = vault().unwrap(user["wrapped_key"], person_id=f"wechat|{user['openid_index'].hex()}")
    kept = base64.b64decode(key.open(rows[0]["content_cipher"], field="media"))
    assert Image.open(io.BytesIO(kept)).size == (64, 48) and CANARY.encode() not in kept


async def test_pages_of_ours_are_signed_under_one_ticket_and_no_others(account: AccountHouse) -> None:
    page = f"{account.call.url}/report?month=1#top"
    answers = [await account.call("GET", f"/wechat/page-signature?url={page.replace('#', '%23')}", by="P-1")
               for _ in range(3)]  # fmt: skip
    assert [status for status, _ in answers] == [200] * 3
    assert await account.sandbox.count("ticket/getticket 0") == 1
    [row] = await account.house.rows("SELECT * FROM notify.wechat_token WHERE kind = 'page'")
    ticket = vault().house_key().open(row["value_cipher"], field="wechat-page")
    signed = answers[0][1]
    assert signed["app_id"] == DEFAULT_APP_ID and signed["signature"] == page_signature(
        ticket=ticket, nonce=signed["nonce"], timestamp=signed["timestamp"], url=page,
        own_hosts=frozenset({"127.0.0.1"}),
    )  # fmt: skip
    for foreign in ("https://evil.example/", "http://127.0.0.1.evil.example/", "http://127.0.0.1@evil.example/"):
        assert (await account.call("GET", f"/wechat/page-signature?url={foreign}", by="P-1"))[0] == 422


@pytest.mark.parametrize("deed", ["unsubscribe", "revoke"])
async def test_who_leaves_is_forgotten_but_for_the_contract(account: AccountHouse, deed: str) -> None:
    await bound(account, "o-1")
    await account.sandbox.deed("o-1", "say", text=CANARY)
    await account.sandbox.deed("o-1", "accept", template_id="FAULT_OUTAGE")
    await account.pushed(2)
    assert len(await account.house.rows('SELECT * FROM notify.wechat_consent WHERE "left" = 1')) == 1
    await account.sandbox.deed("o-1", deed)
    await account.pushed(3)
    for table in ("wechat_user", "wechat_window", "wechat_consent", "wechat_reply", "wechat_media"):
        assert await account.house.rows(f"SELECT * FROM notify.{table}") == [], table
    left = await account.house.rows("SELECT * FROM notify.wechat_push WHERE fields_cipher IS NOT NULL")
    assert left == [] and len(await account.pushed(3)) == 3
    assert await account.house.rows("SELECT * FROM notify.contact WHERE kind = 'wechat'") == []
    assert len(await account.house.rows("SELECT * FROM notify.contact WHERE kind = 'mobile'")) == 2
    audits = await account.house.rows("SELECT object_id FROM notify.audit WHERE action = 'wechat-forgotten'")
    assert [a["object_id"] for a in audits] == ["P-1"]


async def test_two_processes_fetch_one_token_per_expiry(account: AccountHouse, house: NotifyHouse) -> None:
    people = [await account.sandbox.follow(f"o-{n}") for n in range(12)]
    settings = house.settings
    environment = {
        "KEYLINE_DATABASE_HOST": settings.database_host, "KEYLINE_DATABASE_PORT": str(settings.database_port),
        "KEYLINE_DATABASE_NAME": settings.database_name, "KEYLINE_DATABASE_PASSWORD": PASSWORD,
    }  # fmt: skip
    for expiry in ("first", "expired", "revoked"):
        before = await account.sandbox.count("stable_token 0")
        if expiry == "expired":
            await account.sandbox.jump(7_201)
        if expiry == "revoked":
            await account.sandbox.call("POST", "/sandbox/tokens/revoke")
        await asyncio.gather(*(_sender(environment, f"{expiry}-{n}", people) for n in range(2)))
        assert await account.sandbox.count("stable_token 0") - before == 1, expiry
    for openid in people:
        assert len(await account.sandbox.seen(openid, kind="template")) == 6
    [row] = await house.rows("SELECT version FROM notify.wechat_token WHERE kind = 'access'")
    assert row["version"] == 3


async def _sender(environment: dict[str, str], name: str, people: list[str]) -> None:
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.integration.notify.token_child", name, *people, env={**os.environ, **environment}
    )
    assert await child.wait() == 0
