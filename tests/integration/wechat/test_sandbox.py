"""The client against the sandbox over HTTP: sending, refusals, duplicates, tokens, windows, faults."""

import pytest

from deploy.local.processes import free_port
from services.notify.adapters.wechat.client import WechatClient
from services.notify.adapters.wechat.errors import (
    ERROR_RULES,
    Action,
    ConfigurationRefused,
    ContentRefused,
    ErrorClass,
    ProviderBusy,
    QuotaExhausted,
    RecipientTooFrequent,
    RecipientUnreachable,
    WechatRefused,
    WechatUnreachable,
    WindowClosed,
    refusal,
)
from services.notify.adapters.wechat.messages import custom_menu, custom_text, split_text
from services.notify.adapters.wechat.tokens import InMemoryTokenStore
from services.notify.adapters.wechat.transport import Transport
from tests.integration.wechat.house import ACCOUNT, VALUES, Sandbox, subscribe_message, template_message

SEND = "message/template/send"


async def test_a_template_message_reaches_log_count_and_phone(sandbox: Sandbox) -> None:
    openid = await sandbox.follow("o-first", nickname="某公司<值班>")
    async with sandbox.client() as client:
        accepted = await client.send_template(message=template_message(openid, id_="first"))
    [message] = await sandbox.seen(openid)
    assert message["msgid"] == accepted.msgid
    assert (message["data"], message["client_msg_id"]) == (VALUES, "first")
    assert message in sandbox.process.lines()
    page = await sandbox.call("GET", f"/sandbox/phone/{openid}")
    assert VALUES["thing1"] in page
    assert "故障停电通知" in page
    assert "某公司&lt;值班&gt;" in page


@pytest.mark.parametrize(
    ("standing", "errcode"), [("unsubscribed", 43004), ("blacklisted", 43019), ("refuses", 43101), ("rejects", 48002)]
)
async def test_an_unreachable_person_is_refused_for_good(sandbox: Sandbox, standing: str, errcode: int) -> None:
    openid = await sandbox.follow(f"o-{standing}", standing=standing)
    async with sandbox.client() as client:
        with pytest.raises(RecipientUnreachable) as refused:
            await client.send_template(message=template_message(openid, id_="x"))
    assert (refused.value.errcode, refused.value.action) == (errcode, Action.NEXT_CHANNEL)
    assert refused.value.rid is not None
    assert await sandbox.seen(openid) == []


async def test_an_unknown_openid_is_refused(sandbox: Sandbox) -> None:
    async with sandbox.client() as client:
        with pytest.raises(RecipientUnreachable, match="40003"):
            await client.send_template(message=template_message("o-nobody", id_="x"))


@pytest.mark.parametrize(
    ("field", "value"), [("thing1", "一" * 21), ("thing1", ""), ("character_string2", "户号1"), ("time3", "下午")]
)
async def test_a_value_against_its_type_is_named_by_47003(sandbox: Sandbox, field: str, value: str) -> None:
    openid = await sandbox.follow("o-typed")
    async with sandbox.client() as client:
        with pytest.raises(ContentRefused, match=f"argument invalid! data.{field}.value invalid rid:") as refused:
            await client.send_template(message=template_message(openid, id_="x", **{field: value}))
    assert refused.value.errcode == 47003


@pytest.mark.parametrize(
    ("raw", "errcode"),
    [
        (b"", 44002),
        (b"{", 47001),
        (b"[]", 47001),
        (rb'{"touser":"\u4e00"}', 40033),
        (rb'{"touser":"\\u4e00"}', 40003),
    ],
)
async def test_a_body_that_is_no_plain_utf8_json_is_refused(sandbox: Sandbox, raw: bytes, errcode: int) -> None:
    token = await sandbox.stable_token()
    answer = await sandbox.call("POST", f"/cgi-bin/{SEND}?access_token={token}", raw=raw)
    assert answer["errcode"] == errcode


async def test_a_missing_template_opens_the_circuit_after_one_retry(sandbox: Sandbox) -> None:
    openid = await sandbox.follow("o-template")
    await sandbox.call("DELETE", "/sandbox/templates/FAULT_OUTAGE")
    async with sandbox.client() as client:
        assert "FAULT_OUTAGE" not in await client.template_ids()
        with pytest.raises(ConfigurationRefused) as refused:
            await client.send_template(message=template_message(openid, id_="x"))
    assert (refused.value.errcode, refused.value.action) == (40037, Action.RETRY_ONCE_THEN_OPEN_CIRCUIT)


async def test_the_same_client_msg_id_shows_one_message_for_ten_minutes(sandbox: Sandbox) -> None:
    openid = await sandbox.follow("o-twice")
    async with sandbox.client() as client:
        first = await client.send_template(message=template_message(openid, id_="d"))
        await sandbox.jump(595)
        assert await client.send_template(message=template_message(openid, id_="d")) == first
        await sandbox.behave(duplicate_answer="error")
        assert (await client.send_template(message=template_message(openid, id_="d"))).duplicate
        assert len(await sandbox.seen(openid)) == 1
        await sandbox.jump(10)
        await client.send_template(message=template_message(openid, id_="d"))
    assert len(await sandbox.seen(openid)) == 2


async def test_the_same_client_msg_id_of_two_people_shows_two_messages(sandbox: Sandbox) -> None:
    one, other = await sandbox.follow("o-one"), await sandbox.follow("o-other")
    async with sandbox.client() as client:
        for openid in (one, other):
            await client.send_template(message=template_message(openid, id_="same"))
    assert (len(await sandbox.seen(one)), len(await sandbox.seen(other))) == (1, 1)


# Subscribe and custom messages


async def test_one_consent_is_one_subscribe_message_also_without_following(sandbox: Sandbox) -> None:
    openid = await sandbox.follow("o-consent", standing="unsubscribed")
    async with sandbox.client() as client:
        with pytest.raises(RecipientUnreachable, match="43101"):
            await client.send_subscribe(message=subscribe_message(openid))
        await sandbox.deed(openid, "accept", template_id="FAULT_OUTAGE")
        assert (await client.send_subscribe(message=subscribe_message(openid))).msgid is None
        with pytest.raises(RecipientUnreachable, match="43101"):
            await client.send_subscribe(message=subscribe_message(openid))
    assert [m["kind"] for m in await sandbox.seen(openid)] == ["subscribe"]


async def test_a_long_term_consent_is_not_used_up(sandbox: Sandbox) -> None:
    openid = await sandbox.follow("o-long", consents={"FAULT_OUTAGE": -1})
    async with sandbox.client() as client:
        for _ in range(3):
            await client.send_subscribe(message=subscribe_message(openid))
    assert len(await sandbox.seen(openid)) == 3


async def test_a_message_of_the_person_allows_five_replies_within_48_hours(sandbox: Sandbox) -> None:
    openid = await sandbox.follow("o-window")
    async with sandbox.client() as client:
        with pytest.raises(WindowClosed, match="45015"):
            await client.send_custom(message=custom_text(openid=openid, text="您好"))
        await sandbox.deed(openid, "say", text="什么时候来电？")
        for n in range(4):
            await client.send_custom(message=custom_text(openid=openid, text=f"第{n}条"))
        await sandbox.jump(48 * 3600 - 5)
        menu = custom_menu(openid=openid, head="是否解决？", choices=[("1", "满意"), ("2", "未解决")])
        await client.send_custom(message=menu)
        with pytest.raises(WindowClosed, match="45047") as refused:
            await client.send_custom(message=custom_text(openid=openid, text="第六条"))
        assert refused.value.action is Action.SEND_TEMPLATE_INSTEAD
        await sandbox.jump(10)
        with pytest.raises(WindowClosed, match="45015"):
            await client.send_custom(message=custom_text(openid=openid, text="过期"))
    assert len(await sandbox.seen(openid, kind="custom")) == 5


@pytest.mark.parametrize("deed", ["click", "scan", "subscribe"])
async def test_a_tap_allows_three_replies_within_a_minute(sandbox: Sandbox, deed: str) -> None:
    openid = await sandbox.follow(f"o-tap-{deed}")
    async with sandbox.client() as client:
        await sandbox.deed(openid, deed)
        for _ in range(3):
            await client.send_custom(message=custom_text(openid=openid, text="请稍候"))
        with pytest.raises(WindowClosed, match="45047"):
            await client.send_custom(message=custom_text(openid=openid, text="请稍候"))
        await sandbox.deed(openid, deed)
        await sandbox.jump(61)
        with pytest.raises(WindowClosed, match="45015"):
            await client.send_custom(message=custom_text(openid=openid, text="请稍候"))


async def test_a_long_text_is_refused_whole_and_accepted_in_pieces(sandbox: Sandbox) -> None:
    openid = await sandbox.follow("o-long-text")
    text = "抢修人员已到达现场。" * 100
    await sandbox.deed(openid, "say", text="进展？")
    async with sandbox.client() as client:
        with pytest.raises(ContentRefused, match="45002"):
            await client.send_custom(message=custom_text(openid=openid, text=text))
        for piece in split_text(text=text):
            await client.send_custom(message=custom_text(openid=openid, text=piece))
    assert "".join(m["content"]["content"] for m in await sandbox.seen(openid)) == text


# Faults


async def test_a_busy_platform_is_transient_and_the_next_call_succeeds(sandbox: Sandbox) -> None:
    openid = await sandbox.follow("o-busy")
    await sandbox.arm("errcode", api=SEND, errcode=-1, count=3)
    async with sandbox.client() as client:
        for _ in range(3):
            with pytest.raises(ProviderBusy) as busy:
                await client.send_template(message=template_message(openid, id_="x"))
            assert (busy.value.error_class, busy.value.ambiguous) == (ErrorClass.TRANSIENT, False)
        await client.send_template(message=template_message(openid, id_="x"))
    assert await sandbox.fault_hits() == [3]
    assert len(await sandbox.seen(openid)) == 1


@pytest.mark.parametrize("kind", ["reset_after_accept", "hang_after_accept"])
async def test_an_accepted_message_without_an_answer_is_ambiguous_and_repeating_shows_one(
    sandbox: Sandbox, kind: str
) -> None:
    openid = await sandbox.follow(f"o-{kind}")
    async with sandbox.client(read_timeout_s=0.3) as client:
        await client.template_ids()
        await sandbox.arm(kind, api=SEND, delay_s=0.6)
        with pytest.raises(WechatUnreachable) as lost:
            await client.send_template(message=template_message(openid, id_="once"))
        assert lost.value.ambiguous
        assert len(await sandbox.seen(openid)) == 1
        await client.send_template(message=template_message(openid, id_="once"))
    assert len(await sandbox.seen(openid)) == 1
    assert await sandbox.fault_hits() == [1]


@pytest.mark.parametrize("kind", ["reset_before", "http_status", "malformed"])
async def test_an_answer_that_says_nothing_is_ambiguous_too(sandbox: Sandbox, kind: str) -> None:
    openid = await sandbox.follow(f"o-{kind}")
    async with sandbox.client() as client:
        await sandbox.arm(kind, api=SEND)
        with pytest.raises(WechatUnreachable) as lost:
            await client.send_template(message=template_message(openid, id_="once"))
        assert lost.value.ambiguous
        assert await sandbox.seen(openid) == []
        await client.send_template(message=template_message(openid, id_="once"))
    assert len(await sandbox.seen(openid)) == 1


async def test_a_server_that_is_not_there_is_certain_and_shows_no_secret() -> None:
    transport = Transport(base_url=f"http://127.0.0.1:{free_port()}")
    async with WechatClient(account=ACCOUNT, tokens=InMemoryTokenStore(), transport=transport) as client:
        with pytest.raises(WechatUnreachable) as away:
            await client.send_template(message=template_message("o", id_="x"))
    assert not away.value.ambiguous
    assert ACCOUNT.app_secret not in f"{away.value!r} {away.value.__context__!r}"


async def test_a_token_that_cannot_be_fetched_leaves_no_doubt_about_the_message(sandbox: Sandbox) -> None:
    openid = await sandbox.follow("o-no-token")
    await sandbox.arm("reset_after_accept", api="stable_token")
    async with sandbox.client() as client:
        with pytest.raises(WechatUnreachable, match="stable_token") as lost:
            await client.send_template(message=template_message(openid, id_="x"))
    assert not lost.value.ambiguous


async def test_a_fault_for_one_person_leaves_the_others_alone(sandbox: Sandbox) -> None:
    often, seldom = await sandbox.follow("o-often"), await sandbox.follow("o-seldom")
    await sandbox.arm("errcode", api=SEND, errcode=43117, openid=often, count=None)
    async with sandbox.client() as client:
        await client.send_template(message=template_message(seldom, id_="x"))
        with pytest.raises(RecipientTooFrequent) as held:
            await client.send_template(message=template_message(often, id_="x"))
    assert held.value.action is Action.HOLD_RECIPIENT


async def test_quotas_of_minute_and_day_are_told_apart_and_end(sandbox: Sandbox) -> None:
    openid = await sandbox.follow("o-quota")
    async with sandbox.client() as client:
        await client.template_ids()
        await sandbox.call("POST", "/sandbox/quotas", {"per_minute": {SEND: 0}})
        with pytest.raises(QuotaExhausted) as minute:
            await client.send_template(message=template_message(openid, id_="x"))
        await sandbox.call("POST", "/sandbox/quotas", {"per_minute": {SEND: 1_000_000}, "per_day": {SEND: 0}})
        with pytest.raises(QuotaExhausted) as day:
            await client.send_template(message=template_message(openid, id_="x"))
        await sandbox.call("POST", "/sandbox/quotas", {"per_day": {SEND: 100_000}})
        await client.send_template(message=template_message(openid, id_="x"))
    assert (minute.value.action, day.value.action) == (Action.PAUSE_MINUTE, Action.PAUSE_TO_MIDNIGHT)


@pytest.mark.parametrize("base_url", ["http://api.weixin.qq.com", "ftp://127.0.0.1", "http://127.0.0.1.example.org"])
async def test_secrets_never_travel_in_the_clear(base_url: str) -> None:
    with pytest.raises(ValueError, match="https"):
        Transport(base_url=base_url)


async def test_a_bad_setting_is_named_and_changes_nothing(sandbox: Sandbox) -> None:
    before = await sandbox.call("GET", "/sandbox/behaviour")
    answer = await sandbox.call("POST", "/sandbox/behaviour", {"receipt_loss": 2, "push_mode": "plain"})
    assert [problem["field"] for problem in answer["problems"]] == ["receipt_loss"]
    assert await sandbox.call("GET", "/sandbox/behaviour") == before


async def test_every_refusal_of_the_script_is_typed_as_the_table_says(sandbox: Sandbox) -> None:
    openid = await sandbox.follow("o-table")
    codes = [c for c, rule in ERROR_RULES.items() if rule.action is not Action.ALREADY_ACCEPTED]
    async with sandbox.client() as client:
        await client.template_ids()
        for code in codes:
            await sandbox.call("DELETE", "/sandbox/faults")
            await sandbox.arm("errcode", api=SEND, errcode=code, count=2)
            with pytest.raises(WechatRefused) as refused:
                await client.send_template(message=template_message(openid, id_="x"))
            assert (refused.value.errcode, type(refused.value)) == (code, type(refusal(errcode=code, errmsg="")))
    assert await sandbox.seen(openid) == []
