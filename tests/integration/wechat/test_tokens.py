"""Access tokens over HTTP: what the platform promises of each kind, and how few fetches the client needs."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from services.notify.adapters.wechat.client import Account
from services.notify.adapters.wechat.errors import ConfigurationRefused, TokenRejected
from services.notify.adapters.wechat.tokens import InMemoryTokenStore
from tests.integration.wechat.house import ACCOUNT, Sandbox, template_message

SEND = "message/template/send"


async def _classic_token(sandbox: Sandbox) -> str:
    query = f"grant_type=client_credential&appid={ACCOUNT.app_id}&secret={ACCOUNT.app_secret}"
    return str((await sandbox.call("GET", f"/cgi-bin/token?{query}"))["access_token"])


async def _errcode_with(sandbox: Sandbox, token: str) -> int:
    answer = await sandbox.call("GET", f"/cgi-bin/template/get_all_private_template?access_token={token}")
    return int(answer.get("errcode", 0))


async def test_two_users_of_the_classic_token_break_each_other_after_the_overlap(sandbox: Sandbox) -> None:
    first = await _classic_token(sandbox)
    second = await _classic_token(sandbox)
    assert [await _errcode_with(sandbox, t) for t in (first, second)] == [0, 0]
    await sandbox.jump(11)
    assert [await _errcode_with(sandbox, t) for t in (first, second)] == [40001, 0]


async def test_two_users_of_the_stable_token_get_the_same_and_the_old_one_overlaps(sandbox: Sandbox) -> None:
    await sandbox.call("POST", "/sandbox/tokens/revoke")
    first = await sandbox.stable_token()
    assert await sandbox.stable_token() == first
    await sandbox.jump(7200 - 299)
    second = await sandbox.stable_token()
    assert second != first
    assert [await _errcode_with(sandbox, t) for t in (first, second)] == [0, 0]
    await sandbox.jump(300)
    assert [await _errcode_with(sandbox, t) for t in (first, second)] == [42001, 0]


async def test_a_forced_refresh_kills_the_old_token_but_not_twice_in_thirty_seconds(sandbox: Sandbox) -> None:
    await sandbox.jump(31)
    first = await sandbox.stable_token()
    second = await sandbox.stable_token(force=True)
    assert [await _errcode_with(sandbox, t) for t in (first, second)] == [40001, 0]
    assert await sandbox.stable_token(force=True) == second


@pytest.mark.parametrize("trouble", ["expired", "revoked"])
async def test_many_senders_of_two_replicas_replace_a_dead_token_once(sandbox: Sandbox, trouble: str) -> None:
    people = [await sandbox.follow(f"o-{trouble}-{n}") for n in range(40)]
    tokens = InMemoryTokenStore()
    async with sandbox.client(tokens=tokens) as one, sandbox.client(tokens=tokens) as other:
        await one.send_template(message=template_message(people[0], id_="before"))
        if trouble == "expired":
            await sandbox.jump(7201)
        else:
            await sandbox.call("POST", "/sandbox/tokens/revoke")
        fetched = await sandbox.count("stable_token 0")
        sends = [
            client.send_template(message=template_message(openid, id_=trouble))
            for openid, client in zip(people, [one, other] * 20, strict=True)
        ]
        await asyncio.gather(*sends)
    assert await sandbox.count("stable_token 0") - fetched == 1
    assert [len(await sandbox.seen(openid, client_msg_id=trouble)) for openid in people] == [1] * 40


async def test_a_token_rejected_again_ends_in_an_error_and_few_fetches(sandbox: Sandbox) -> None:
    openid = await sandbox.follow("o-rejected")
    await sandbox.arm("errcode", api=SEND, errcode=40001, count=None)
    async with sandbox.client() as client:
        fetched = await sandbox.count("stable_token 0")
        for _ in range(20):
            with pytest.raises(TokenRejected):
                await client.send_template(message=template_message(openid, id_="x"))
        assert await sandbox.count("stable_token 0") - fetched <= 2
        assert await sandbox.fault_hits() == [21]
        await sandbox.call("DELETE", "/sandbox/faults")
        await client.send_template(message=template_message(openid, id_="x"))


async def test_a_wrong_secret_does_not_eat_the_quota_of_tokens(sandbox: Sandbox) -> None:
    openid = await sandbox.follow("o-secret")
    wrong = Account(app_id=ACCOUNT.app_id, app_secret="sandbox-wrong")
    before = await sandbox.count("stable_token 40125")
    async with sandbox.client(account=wrong) as client:
        for _ in range(5):
            with pytest.raises(ConfigurationRefused, match="40125"):
                await client.send_template(message=template_message(openid, id_="x"))
    assert await sandbox.count("stable_token 40125") - before == 1
    assert "sandbox-wrong" not in repr(wrong)


async def test_shortly_before_its_end_the_token_is_replaced_without_a_refusal(sandbox: Sandbox) -> None:
    openid = await sandbox.follow("o-early")
    ahead = timedelta()
    await sandbox.call("POST", "/sandbox/tokens/revoke")
    async with sandbox.client(now=lambda: datetime.now(UTC) + ahead) as client:
        await client.send_template(message=template_message(openid, id_="1"))
        fetched, rejected = await sandbox.count("stable_token 0"), await sandbox.count(f"{SEND} 42001")
        ahead = timedelta(seconds=7200 - 200)
        await sandbox.jump(7200 - 200)
        await asyncio.gather(*(client.send_template(message=template_message(openid, id_=f"{n}")) for n in range(10)))
        await sandbox.jump(300)
        ahead += timedelta(seconds=300)
        await client.send_template(message=template_message(openid, id_="last"))
    assert await sandbox.count("stable_token 0") - fetched == 1
    assert await sandbox.count(f"{SEND} 42001") == rejected
