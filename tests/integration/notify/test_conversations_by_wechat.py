"""The conversation over WeChat: the open window first, then the next channels; menus, photos, two customers."""

import base64
import io
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest
from PIL import Image

from services.contracts.examples import example_of
from services.contracts.portrait import ScoreDisputed
from tests.integration.notify.house import NotifyHouse
from tests.integration.notify.talk import MINUTE, Talk, open_talk
from tests.integration.notify.test_erasure import settled

CANARY = "金丝雀-请勿外传"


@pytest.fixture
async def talk(house: NotifyHouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Talk]:
    async with open_talk(house, tmp_path, monkeypatch) as opened:
        yield opened


async def thread(talk: Talk, customer_id: str = "C-1") -> str:
    sql = "SELECT conversation_id FROM notify.conversation WHERE customer_id = $1 AND state = 'open'"
    [row] = await talk.house.rows(sql, customer_id)
    return str(row["conversation_id"])


async def test_an_answer_goes_by_the_open_window_and_by_the_next_channel_when_its_count_is_used_up(talk: Talk) -> None:
    await talk.say("我厂今天停电了")
    await talk.settle()
    [receipt] = await talk.shown("openid-1")
    assert "李经理" in receipt and "停电与故障" in receipt and "95598" in receipt
    one = f"/conversations/{await thread(talk)}"
    seen = await talk.call("GET", one, by="M-1")
    assert (seen["topic"], seen["wechat"]["left"]) == ("fault", 4)
    for number in range(1, 6):
        await talk.call("POST", f"{one}/answers", by="M-1", body={"text": f"答复{number}"}, status=201)
        await talk.settle()
    assert (await talk.shown("openid-1"))[1:] == [f"答复{n}" for n in range(1, 5)] + ["KEYLINE_ANSWER"]
    assert (await talk.call("GET", one, by="M-1"))["wechat"] == {"left": 0, "closes_at": None}
    told = await talk.told("conversation-answer")
    assert told == [("P-1", "chat", "accepted", None)] * 4 + [
        ("P-1", "chat", "failed", "window-shut"), ("P-1", "wechat", "accepted", None),
    ]  # fmt: skip
    said = await talk.house.said("message-delivered")
    assert {json.loads(r["body"])["channel"] for r in said} <= {"wechat", "inbox"}, "what others hear of it"


async def test_beyond_forty_eight_hours_an_answer_falls_to_the_next_channel_also_when_only_wechat_knows(
    talk: Talk,
) -> None:
    await talk.say("电费多少？")
    await talk.settle()
    one = f"/conversations/{await thread(talk)}"
    await talk.account.sandbox.jump(timedelta(hours=49).total_seconds())  # over there the window is shut already
    await talk.call("POST", f"{one}/answers", by="M-1", body={"text": "迟到的答复"}, status=201)
    await talk.settle()
    [tried, next_one] = await talk.told("conversation-answer")
    assert tried[1:3] == ("chat", "failed") and "45015" in tried[3] and next_one[1:3] == ("wechat", "accepted")
    assert (await talk.call("GET", one, by="M-1"))["wechat"]["left"] == 0, "it decides, we follow"


async def test_what_is_written_straight_to_the_persons_wechat_answers_what_waits_there(talk: Talk) -> None:
    await talk.say("电费多少？")
    await talk.call("POST", "/persons/P-1/wechat/replies", by="M-1", body={"text": "共 98 元"}, status=201)
    seen = await talk.call("GET", f"/conversations/{await thread(talk)}", by="M-1")
    assert seen["waits_until"] is None and seen["messages"][-1]["text"] == "共 98 元"
    await talk.settle()
    assert await talk.shown("openid-1") == ["共 98 元"], "the receipt was overtaken, the answer is sent once"
    assert await talk.emitted() == [("conversation-opened", None), ("conversation-answered", True)]


async def test_what_is_said_one_after_another_arrives_in_that_order_also_when_wechat_is_slow(talk: Talk) -> None:
    await talk.say("账单不对")
    one = f"/conversations/{await thread(talk)}"
    for text in ("请稍候", "已更正"):
        await talk.call("POST", f"{one}/answers", by="M-1", body={"text": text}, status=201)
    await talk.call("POST", f"{one}/close", by="M-1", status=204)
    for delay_s in (0.6, 0.3):
        await talk.account.sandbox.arm("latency", api="message/custom/send", delay_s=delay_s)
    await talk.settle()
    assert (await talk.shown("openid-1"))[:2] == ["请稍候", "已更正"]
    assert (await talk.account.sandbox.seen("openid-1"))[-1]["content"]["list"], "whether it helped is asked last"


async def test_a_tap_on_the_menu_is_the_customers_word_once(talk: Talk) -> None:
    await talk.say("账单不对")
    conversation_id = await thread(talk)
    one = f"/conversations/{conversation_id}"
    await talk.call("POST", f"{one}/answers", by="M-1", body={"text": "已更正"}, status=201)
    await talk.call("POST", f"{one}/close", by="M-1", status=204)
    await talk.settle()
    menu = (await talk.account.sandbox.seen("openid-1"))[-1]["content"]
    assert [e["content"] for e in menu["list"]] == ["满意", "未解决"]
    for entry in (menu["list"][0], menu["list"][1]):  # the second comes too late
        await talk.do("choose", key=entry["id"], text=entry["content"])
    row = await talk.row(conversation_id)
    assert (row["state"], row["outcome"]) == ("closed", "satisfied")
    said = await talk.call("GET", one, by="M-1")
    assert [m["kind"] for m in said["messages"]] == ["text", "receipt", "answer", "rating"], "a tap is no question"


async def test_who_works_for_two_customers_is_asked_which_and_the_number_places_the_question(talk: Talk) -> None:
    await talk.say("你好，想问一下", openid="openid-3")
    await talk.settle()
    assert await talk.house.rows("SELECT 1 FROM notify.conversation") == []
    [question] = await talk.shown("openid-3")
    assert "1. 客户C-1" in question and "2. 客户C-2" in question
    await talk.say("2", openid="openid-3")
    assert await thread(talk, "C-2")
    said = await talk.call("GET", f"/conversations/{await thread(talk, 'C-2')}", by="M-2")
    assert [m["text"] for m in said["messages"] if m["by_customer"]] == ["你好，想问一下"]
    await talk.say("A-1 这个户停电了", openid="openid-3")  # an account in the words needs no asking
    assert (await talk.call("GET", f"/conversations/{await thread(talk)}", by="M-1"))["topic"] == "fault"


async def test_photos_come_by_wechat_and_by_our_own_page_and_are_seen_by_the_manager(talk: Talk) -> None:
    picture = io.BytesIO()
    Image.new("RGB", (64, 48), (200, 10, 10)).save(picture, "PNG")
    await talk.say("现场有隐患")
    shown = base64.b64encode(picture.getvalue()).decode()
    await talk.do("show", picture=shown)
    await talk.settle()
    conversation_id = await thread(talk)
    url = f"{talk.account.call.url}/notify/v1/own-conversations/{conversation_id}/photos"
    for body, wanted in ((picture.getvalue(), 201), (b"MZ no picture", 422)):
        header = {
            "Authorization": f"Bearer {talk.account.call.token('P-1')}",
            "Idempotency-Key": f"photo-answered-{wanted}",
        }
        async with aiohttp.ClientSession() as session, session.post(url, data=body, headers=header) as answer:
            assert answer.status == wanted, await answer.text()
    audited = await talk.house.rows("SELECT 1 FROM notify.audit WHERE action = 'conversation-asked' AND actor = 'P-1'")
    assert len(audited) == 1
    seen = await talk.call("GET", f"/conversations/{conversation_id}", by="M-1")
    photos = [m for m in seen["messages"] if m["has_photo"]]
    assert [(p["kind"], p["channel"]) for p in photos] == [("photo", "wechat"), ("photo", "app")]
    for photo in photos:
        address = f"/notify/v1/conversations/{conversation_id}/messages/{photo['message_id']}/photo"
        header = {"Authorization": f"Bearer {talk.account.call.token('M-1')}"}
        async with (
            aiohttp.ClientSession() as session,
            session.get(talk.account.call.url + address, headers=header) as answer,
        ):
            assert answer.status == 200 and (await answer.read()).startswith(b"\xff\xd8\xff")


async def test_a_doubt_about_a_score_opens_the_thread_with_the_score_and_its_ticket(talk: Talk) -> None:
    said = {**example_of(ScoreDisputed), "customer_id": "C-1", "disputed_by": "P-1"}
    event = ScoreDisputed.from_wire(json.dumps(said).encode())
    await talk.house.hear(event, event)
    conversation_id = await thread(talk)
    seen = await talk.call("GET", f"/conversations/{conversation_id}", by="M-1")
    assert seen["attached"]["dispute_id"] == str(event.dispute_id) and seen["attached"]["month"] == event.month
    assert [m["kind"] for m in seen["messages"]] == ["dispute", "receipt"], "in the order of the talk"
    [ticket] = await talk.house.rows("SELECT ticket_id FROM notify.ticket")
    assert seen["ticket_id"] == str(ticket["ticket_id"])
    await talk.advance(6 * MINUTE)
    assert len(await talk.house.rows("SELECT 1 FROM notify.ticket")) == 1, "a broken promise needs no second one"


async def test_erasure_leaves_that_there_was_a_question_and_not_a_word_of_it(talk: Talk) -> None:
    await talk.say(f"{CANARY} 电费")
    conversation_id = await thread(talk)
    await talk.call("POST", f"/conversations/{conversation_id}/answers", by="M-1", body={"text": CANARY}, status=201)
    copied = await talk.call("GET", "/persons/me/personal-data", by="P-1")
    assert [(t["by"], CANARY in t["text"]) for t in copied["talks"]][:1] == [("M-1", True)]
    await talk.call("POST", "/persons/me/privacy-requests", by="P-1", body={"kind": "erasure"}, status=201)
    await settled(talk.house, "notify-erasure", "SELECT 1 FROM notify.person WHERE person_id = 'P-1'")
    seen = await talk.call("GET", f"/conversations/{conversation_id}", by="M-1")
    assert {m["text"] for m in seen["messages"]} == {""} and len(seen["messages"]) == 3
    assert seen["person_id"].startswith("gone-") and seen["first_answered_at"] is not None
    left = await talk.house.rows("SELECT 1 FROM notify.conversation_message WHERE text_cipher IS NOT NULL")
    assert left == []
