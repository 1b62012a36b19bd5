"""What the sandbox pushes, taken by the code that will take WeChat's pushes."""

import asyncio
from collections.abc import Sequence

import pytest

from services.notify.adapters.wechat.callbacks import Callback
from services.notify.adapters.wechat.events import JobOutcome, job_finished, subscription_entries
from tests.integration.wechat.house import VALUES, Receiver, Sandbox, subscribe_message, template_message

MODES = ["encrypted", "compatible", "plain"]
FORMATS = ["xml", "json"]


def receipts(callbacks: Sequence[Callback]) -> list[Callback]:
    return [c for c in callbacks if c.event == "TEMPLATESENDJOBFINISH"]


async def send(sandbox: Sandbox, openid: str, *ids: str) -> list[int]:
    async with sandbox.client() as client:
        sent = [await client.send_template(message=template_message(openid, id_=id_)) for id_ in ids]
    return [accepted.msgid or 0 for accepted in sent]


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("mode", MODES)
async def test_receipt_and_message_arrive_in_every_mode_and_format(
    sandbox: Sandbox, receiver: Receiver, mode: str, format_: str
) -> None:
    if mode == "plain":
        receiver.security = type(receiver.security)(token=receiver.security.token, require_encryption=False)
    await sandbox.behave(push_mode=mode, push_format=format_)
    openid = await sandbox.follow(f"o-{mode}-{format_}")
    [msgid] = await send(sandbox, openid, "x")
    text = "停电了，]]><x/> 什么时候来电？"
    said = await sandbox.deed(openid, "say", text=text)
    callbacks = await receiver.wait_for(2)
    [receipt] = receipts(callbacks)
    [message] = [c for c in callbacks if c.msg_type == "text"]
    assert (job_finished(callback=receipt).msgid, job_finished(callback=receipt).outcome) == (msgid, JobOutcome.SUCCESS)
    assert (message.openid, message.text("Content")) == (openid, text)
    assert message.dedupe_key == f"msg:{said['msgid']}"
    assert (receiver.refused, receiver.attempts) == ([], 2)


async def test_a_doubled_receipt_has_one_key(sandbox: Sandbox, receiver: Receiver) -> None:
    await sandbox.behave(receipt_double=1.0)
    [msgid] = await send(sandbox, await sandbox.follow("o-double"), "x")
    callbacks = await receiver.wait_for(2)
    assert {c.dedupe_key for c in callbacks} == {f"event:TEMPLATESENDJOBFINISH:{msgid}"}


async def test_a_receipt_can_come_before_the_answer(sandbox: Sandbox, receiver: Receiver) -> None:
    await sandbox.behave(receipt_before_answer=True)
    openid = await sandbox.follow("o-before")
    async with sandbox.client() as client:
        receiver.answer_after_s = 0.2
        sending = asyncio.create_task(client.send_template(message=template_message(openid, id_="x")))
        await receiver.wait_for(1)
        assert not sending.done()
        accepted = await sending
    assert job_finished(callback=receiver.received[0]).msgid == accepted.msgid


async def test_a_lost_receipt_never_comes_while_the_message_is_seen(sandbox: Sandbox, receiver: Receiver) -> None:
    await sandbox.behave(receipt_loss=1.0)
    openid = await sandbox.follow("o-loss")
    await send(sandbox, openid, "lost")
    await sandbox.behave(receipt_loss=0.0)
    [msgid] = await send(sandbox, openid, "kept")
    callbacks = await receiver.wait_for(1)
    assert [job_finished(callback=c).msgid for c in callbacks] == [msgid]
    assert len(await sandbox.seen(openid)) == 2


async def test_statuses_decide_what_the_person_sees(sandbox: Sandbox, receiver: Receiver) -> None:
    statuses = ["success", "failed:user block", "failed: system failed", "failed:freq limit"]
    await sandbox.behave(next_statuses=statuses)
    openid = await sandbox.follow("o-status")
    msgids = await send(sandbox, openid, *"abcd")
    finished = [job_finished(callback=c) for c in await receiver.wait_for(4)]
    assert {f.msgid: f.outcome for f in finished} == dict(
        zip(
            msgids,
            [JobOutcome.SUCCESS, JobOutcome.USER_BLOCK, JobOutcome.SYSTEM_FAILED, JobOutcome.FREQUENCY_LIMIT],
            strict=True,
        )
    )
    assert [m["client_msg_id"] for m in await sandbox.seen(openid)] == ["a"]


async def test_a_person_who_blocks_messages_is_known_only_by_the_receipt(sandbox: Sandbox, receiver: Receiver) -> None:
    openid = await sandbox.follow("o-block", standing="blocked")
    await send(sandbox, openid, "x")
    [receipt] = await receiver.wait_for(1)
    assert job_finished(callback=receipt).outcome is JobOutcome.USER_BLOCK
    assert await sandbox.seen(openid) == []


async def test_a_receipt_waits_for_the_virtual_clock(sandbox: Sandbox, receiver: Receiver) -> None:
    await sandbox.behave(receipt_delay_s=3600)
    await sandbox.call("POST", "/sandbox/clock", {"frozen": True})
    await send(sandbox, await sandbox.follow("o-slow"), "x")
    assert (await sandbox.call("GET", "/sandbox/pushes"))["outstanding"] == 1
    await sandbox.jump(3599)
    assert (await sandbox.call("GET", "/sandbox/pushes"))["outstanding"] == 1
    await sandbox.jump(1)
    await receiver.wait_for(1)


@pytest.mark.parametrize("tamper", ["signature", "msg_signature", "appid", "old_timestamp"])
async def test_a_forged_push_is_refused_at_every_attempt(sandbox: Sandbox, receiver: Receiver, tamper: str) -> None:
    openid = await sandbox.follow(f"o-{tamper}")
    fields = {"Event": "unsubscribe", "EventKey": ""}
    body = {"openid": openid, "fields": fields, "tamper": tamper}
    pushed = await sandbox.call("POST", "/sandbox/pushes", body)
    assert pushed["attempts"] == ["HTTP 403"] * 3
    assert (len(receiver.refused), receiver.received) == (3, [])


async def test_the_last_key_still_opens_and_a_replay_keeps_its_key(sandbox: Sandbox, receiver: Receiver) -> None:
    openid = await sandbox.follow("o-keys")
    body = {"openid": openid, "fields": {"Event": "CLICK", "EventKey": "menu"}}
    for tamper in ("last_key", "replay"):
        assert (await sandbox.call("POST", "/sandbox/pushes", body | {"tamper": tamper}))["attempts"] == ["answered"]
    first, second = receiver.received
    assert receiver.security.envelope is not None
    assert first.key == receiver.security.envelope.last_key
    assert first.dedupe_key == second.dedupe_key


async def test_an_answer_that_comes_too_late_is_asked_for_three_times(sandbox: Sandbox, receiver: Receiver) -> None:
    await sandbox.behave(push_timeout_s=0.1)
    receiver.answer_after_s = 0.5
    body = {"openid": await sandbox.follow("o-late"), "fields": {"Event": "CLICK", "EventKey": "menu"}}
    assert (await sandbox.call("POST", "/sandbox/pushes", body))["attempts"] == ["timeout"] * 3
    assert receiver.attempts == 3


async def test_what_a_person_does_on_the_phone_is_pushed(sandbox: Sandbox, receiver: Receiver) -> None:
    openid = "o-deeds"
    await sandbox.deed(openid, "subscribe", scene="person-17")
    await sandbox.deed(openid, "scan", scene="person-17")
    await sandbox.deed(openid, "accept", template_id="FAULT_OUTAGE")
    await sandbox.deed(openid, "unsubscribe")
    callbacks = {c.event: c for c in await receiver.wait_for(4)}
    assert callbacks["subscribe"].text("EventKey") == "qrscene_person-17"
    assert callbacks["SCAN"].text("EventKey") == "person-17"
    [entry] = subscription_entries(callback=callbacks["subscribe_msg_popup_event"])
    assert (entry.template_id, entry.choice) == ("FAULT_OUTAGE", "accept")
    assert callbacks["unsubscribe"].openid == openid
    page = await sandbox.call("GET", f"/sandbox/phone/{openid}")
    assert "未关注" in page


@pytest.mark.parametrize("format_", FORMATS)
async def test_a_sent_subscribe_message_is_reported(sandbox: Sandbox, receiver: Receiver, format_: str) -> None:
    await sandbox.behave(push_format=format_)
    openid = await sandbox.follow(f"o-sent-{format_}", consents={"FAULT_OUTAGE": 1})
    async with sandbox.client() as client:
        await client.send_subscribe(message=subscribe_message(openid))
    [callback] = await receiver.wait_for(1)
    [entry] = subscription_entries(callback=callback)
    assert (entry.template_id, entry.error_status) == ("FAULT_OUTAGE", "success")
    assert [m["data"] for m in await sandbox.seen(openid)] == [VALUES]


async def test_the_reply_box_of_the_phone_page_says_something(sandbox: Sandbox, receiver: Receiver) -> None:
    openid = await sandbox.follow("o-page")
    await sandbox.call("POST", f"/sandbox/phone/{openid}", raw=b"deed=say&text=%3Cb%3E%E6%9D%A5%E7%94%B5%E4%BA%86")
    [message] = await receiver.wait_for(1)
    assert message.text("Content") == "<b>来电了"
    assert "&lt;b&gt;来电了" in await sandbox.call("GET", f"/sandbox/phone/{openid}")


async def test_the_callback_address_is_accepted_only_with_the_right_token(sandbox: Sandbox, receiver: Receiver) -> None:
    assert await sandbox.call("POST", "/sandbox/address-check") == {"accepted": True}
    receiver.security = type(receiver.security)(token="another", require_encryption=False)
    assert await sandbox.call("POST", "/sandbox/address-check") == {"accepted": False}
