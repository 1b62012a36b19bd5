"""A question and its clock: the receipt, the levels, the answer, leave and hand-over, under a clock that is moved."""

from collections.abc import AsyncIterator
from datetime import datetime, time, timedelta
from pathlib import Path

import pytest

from services.contracts.organisation import LeaveChanged
from services.kernel.clock import BUSINESS_ZONE
from services.notify.policy.document import shipped_policy
from tests.integration.notify.house import NotifyHouse
from tests.integration.notify.talk import MINUTE, Talk, employee, open_talk
from tests.integration.notify.test_directory import staff

CANARY = "金丝雀-请勿外传"


@pytest.fixture
async def talk(house: NotifyHouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Talk]:
    async with open_talk(house, tmp_path, monkeypatch) as opened:
        yield opened


def near(found: str, wanted: datetime) -> bool:
    return abs(datetime.fromisoformat(found) - wanted) < timedelta(seconds=30)


async def test_a_question_is_received_with_a_name_and_a_time_and_answered_to_who_asked(talk: Talk) -> None:
    asked_at = talk.clock.now()
    receipt = await talk.ask(CANARY)
    assert receipt["manager"] == "李经理" and near(receipt["promised_at"], asked_at + 5 * MINUTE)
    one = f"/conversations/{receipt['conversation_id']}"
    await talk.settle()
    assert [t[0] for t in await talk.told("conversation-waiting")] == ["M-1"]
    waiting = (await talk.call("GET", "/conversations?waiting=true", by="M-1"))["items"]
    assert [(w["topic"], w["owner_id"], w["level"], w["overdue"]) for w in waiting] == [("bill", "M-1", 0, False)]
    for stranger in ("M-2", "P-2"):
        assert (await talk.account.call("GET", one, by=stranger))[0] in (403, 404)
        assert (await talk.account.call("GET", f"/own-conversations/{receipt['conversation_id']}", by=stranger))[
            0
        ] != 200
    seen = await talk.call("GET", one, by="M-1")
    assert [(m["kind"], m["text"]) for m in seen["messages"] if m["by_customer"]] == [("text", CANARY)]
    assert seen["wechat"] == {"left": 0, "closes_at": None}
    await talk.call("POST", f"{one}/close", by="M-1", status=409)  # the customer still waits
    await talk.call("POST", f"{one}/answers", by="M-1", body={"text": f"{CANARY}已核对"}, status=201)
    await talk.settle()
    assert await talk.told("conversation-answer") == [
        ("P-1", "chat", "failed", "window-shut"), ("P-1", "wechat", "accepted", None),
    ]  # fmt: skip
    assert await talk.shown("openid-1") == ["KEYLINE_ANSWER"]
    own = await talk.call("GET", f"/own-conversations/{receipt['conversation_id']}", by="P-1")
    assert [m["text"] for m in own["messages"] if m["kind"] == "answer"] == [f"{CANARY}已核对"]
    assert own["waits_until"] is None and not {"level", "owner_id", "asked_ids"} & own.keys()
    assert await talk.emitted() == [("conversation-opened", None), ("conversation-answered", True)]
    audited = await talk.house.rows("SELECT action FROM notify.audit WHERE object_type = 'conversation'")
    assert {"conversation-opened", "conversation-asked", "conversation-read", "conversation-answered"} <= {
        a["action"] for a in audited
    }


async def test_what_is_said_stands_nowhere_in_the_clear(talk: Talk) -> None:
    receipt = await talk.ask(CANARY)
    one = f"/conversations/{receipt['conversation_id']}"
    await talk.say(f"停电 {CANARY}")
    await talk.call("POST", f"{one}/answers", by="M-1", body={"text": CANARY}, status=201)
    await talk.settle()
    tables = await talk.house.rows(
        "SELECT table_name AS t FROM information_schema.tables WHERE table_schema = 'notify'"
    )
    for table in (r["t"] for r in tables):
        sql = f"SELECT 1 FROM notify.\"{table}\" t WHERE t::text LIKE '%' || $1 || '%'"
        assert await talk.house.rows(sql, CANARY) == [], table
        as_bytes = CANARY.encode().hex()
        assert await talk.house.rows(sql, as_bytes) == [], table


async def test_what_nobody_answers_climbs_by_the_clock_and_the_broken_promise_makes_a_ticket(talk: Talk) -> None:
    receipt = await talk.ask(topic="fault")
    one = f"/conversations/{receipt['conversation_id']}"
    await talk.settle()
    assert (await talk.account.call("GET", one, by="M-B"))[0] == 403
    for minutes, level, asked in ((4, 0, "M-1"), (1.1, 1, "M-B"), (9, 1, "M-B"), (1, 2, "LEADER"), (15, 3, "DESK")):
        await talk.advance(minutes * MINUTE)
        row = await talk.row(receipt["conversation_id"])
        assert (row["level"], list(row["asked_ids"])) == (level, [asked]), minutes
        assert (row["ticket_id"] is None, row["breached_at"] is None) == (level == 0, level == 0)
        if level == 1:  # asked to answer, so able to
            assert (await talk.call("GET", one, by="M-B"))["overdue"]
    assert [t[0] for t in await talk.told("conversation-waiting")] == ["M-1", "M-B", "LEADER", "DESK"]
    tickets = await talk.house.rows("SELECT kind, channel, words FROM notify.ticket")
    assert [tuple(t) for t in tickets] == [("fault-repair", "app", f"会话 {receipt['conversation_id']}")]
    await talk.advance(timedelta(hours=1))
    assert len(await talk.told("conversation-waiting")) == 4
    assert [p["id"] for p in (await talk.call("GET", "/work/pending", by="DESK"))["items"]].count(
        receipt["conversation_id"]
    ) == 1
    await talk.call("POST", f"{one}/answers", by="DESK", body={"text": "抢修人员已到场"}, status=201)
    await talk.settle()
    assert (await talk.account.call("GET", one, by="M-B"))[0] == 403, "what was lent for the question is taken back"
    assert await talk.emitted() == [
        ("conversation-opened", None), *[("conversation-escalated", n) for n in (1, 2, 3)],
        ("conversation-answered", False),
    ]  # fmt: skip


async def test_nothing_climbs_after_an_answer_and_what_was_on_its_way_stops(talk: Talk) -> None:
    receipt = await talk.ask()
    await talk.call(
        "POST", f"/conversations/{receipt['conversation_id']}/answers", by="M-1", body={"text": "好"}, status=201
    )
    await talk.advance(timedelta(hours=2))
    assert [e for e, _ in await talk.emitted()] == ["conversation-opened", "conversation-answered"]
    assert await talk.told("conversation-waiting") == []
    assert await talk.house.rows("SELECT 1 FROM notify.ticket") == []
    await talk.account.sandbox.behave(receipt_loss=1.0)
    await talk.account.sandbox.follow("openid-m1")
    await talk.house.hear(employee("M-1", "李经理", openid="openid-m1"))
    again = await talk.ask("再问一下")
    assert again["conversation_id"] == receipt["conversation_id"]
    await talk.settle()
    pushed = "SELECT fallback_at IS NOT NULL AS waits FROM notify.delivery WHERE event_class = 'conversation-waiting'"
    assert [r["waits"] for r in await talk.house.rows(pushed)] == [True]
    await talk.call(
        "POST", f"/conversations/{receipt['conversation_id']}/answers", by="M-1", body={"text": "好"}, status=201
    )
    await talk.advance(timedelta(hours=5))
    assert [t[:2] for t in await talk.told("conversation-waiting")] == [("M-1", "wechat")], "no next channel"


async def test_leave_moves_a_question_to_the_deputy_and_its_clock_goes_on(talk: Talk) -> None:
    receipt = await talk.ask()
    await talk.advance(2 * MINUTE)
    before = await talk.row(receipt["conversation_id"])
    now = talk.clock.now()
    leave = LeaveChanged(
        leave_id="L-1", version=1, person_id="M-1", starts_at=now, ends_at=now + timedelta(days=3), deputy_id="M-B"
    )
    await talk.house.hear(leave)
    await talk.settle()
    moved = await talk.row(receipt["conversation_id"])
    assert (moved["owner_id"], list(moved["asked_ids"]), moved["level"]) == ("M-B", ["M-B"], 0)
    kept = ("waiting_since", "due_at", "next_step_at")
    assert [moved[k] for k in kept] == [before[k] for k in kept]
    assert [t[0] for t in await talk.told("conversation-waiting")] == ["M-1", "M-B"]
    await talk.advance(3.1 * MINUTE)  # five since the question: nobody else is deputy, so the team leader
    assert list((await talk.row(receipt["conversation_id"]))["asked_ids"]) == ["LEADER"]
    assert (await talk.ask("新问题", topic="other"))["manager"] == "王副手"


async def test_a_hand_over_keeps_the_clock_and_wants_somebody_who_is_there(talk: Talk) -> None:
    receipt = await talk.ask()
    one = f"/conversations/{receipt['conversation_id']}"
    await talk.advance(MINUTE)
    before = await talk.row(receipt["conversation_id"])
    await talk.call("POST", f"{one}/handover", by="M-1", body={"to_person_id": "M-2"}, status=422)
    await talk.call("POST", f"{one}/handover", by="M-1", body={"to_person_id": "LEADER"}, status=204)
    await talk.settle()
    after = await talk.row(receipt["conversation_id"])
    assert (after["owner_id"], after["due_at"], after["next_step_at"]) == (
        "LEADER", before["due_at"], before["next_step_at"],
    )  # fmt: skip
    assert [t[0] for t in await talk.told("conversation-waiting")] == ["M-1", "LEADER"]
    audited = await talk.house.rows("SELECT actor FROM notify.audit WHERE action = 'conversation-handed-over'")
    assert [a["actor"] for a in audited] == ["M-1"], "one row for the hand-over, none for the refused one"


async def test_before_lunch_and_over_a_day_off_the_promise_is_for_the_next_service_hours(talk: Talk) -> None:
    local = talk.clock.now().astimezone(BUSINESS_ZONE)
    noon = datetime.combine(local.date(), time(11, 58), tzinfo=BUSINESS_ZONE)
    await talk.advance(noon - talk.clock.now())
    receipt = await talk.ask()
    assert near(receipt["promised_at"], datetime.combine(noon.date(), time(14, 3), tzinfo=BUSINESS_ZONE))
    await talk.advance(timedelta(hours=2))
    assert (await talk.row(receipt["conversation_id"]))["level"] == 0
    await talk.advance(6 * MINUTE)
    assert (await talk.row(receipt["conversation_id"]))["level"] == 1


async def test_a_customer_without_anybody_is_asked_of_the_team_leader_at_once(talk: Talk) -> None:
    now = talk.clock.now()
    leave = LeaveChanged(leave_id="L-2", version=1, person_id="M-2", starts_at=now, ends_at=now + timedelta(days=3))
    await talk.house.hear(leave)
    body = {"customer_id": "C-2", "topic": "hazard", "text": "怎么整改？"}
    receipt = await talk.call("POST", "/own-conversations", by="P-2", body=body, status=201)
    await talk.settle()
    row = await talk.row(receipt["conversation_id"])
    assert (row["owner_id"], list(row["asked_ids"]), row["level"]) == (None, ["LEADER"], 2)
    assert receipt["manager"] == ""


async def test_closing_asks_whether_it_is_solved_and_unresolved_makes_a_ticket_and_waits_again(talk: Talk) -> None:
    receipt = await talk.ask()
    one, own = (f"/{kind}/{receipt['conversation_id']}" for kind in ("conversations", "own-conversations"))
    await talk.call("POST", f"{own}/rating", by="P-1", body={"satisfied": True}, status=409)
    await talk.call("POST", f"{one}/answers", by="M-1", body={"text": "已核对"}, status=201)
    await talk.call("POST", f"{one}/close", by="M-1", status=204)
    await talk.call("POST", f"{one}/answers", by="M-1", body={"text": "补充"}, status=409)
    await talk.call("POST", f"{own}/rating", by="P-1", body={"satisfied": False}, status=204)
    await talk.call("POST", f"{own}/rating", by="P-1", body={"satisfied": True}, status=409)
    row = await talk.row(receipt["conversation_id"])
    assert (row["state"], row["outcome"], row["ticket_id"] is None) == ("open", "unresolved", False)
    assert row["due_at"] is not None
    given = await talk.call("POST", f"{one}/ticket", by="P-1", status=201)
    assert given == {"ticket_id": str(row["ticket_id"])}, "one ticket per conversation"


async def test_the_nearest_units_promise_holds_from_its_day_on_once_two_have_confirmed_it(talk: Talk) -> None:
    await talk.house.hear(staff("department-head", "HEAD"), staff("system-administrator", "ROOT"))
    document = shipped_policy().model_dump(mode="json")
    today = talk.clock.now().astimezone(BUSINESS_ZONE).date().isoformat()
    slower = document["replies"][0] | {"unit_id": "east", "first_reply_minutes": 20, "escalate_minutes": [20, 40, 60]}
    given = document | {"valid_from": today, "replies": [*document["replies"], slower]}
    broken = given | {"replies": [slower]}
    problem = await talk.call("POST", "/policies", by="HEAD", body=broken, status=422)
    assert "replies" in str(problem)
    entered = await talk.call("POST", "/policies", by="HEAD", body=given, status=201)
    asked_at = talk.clock.now()
    assert near((await talk.ask())["promised_at"], asked_at + 5 * MINUTE)
    await talk.call("POST", f"/policies/{entered['version']}/confirm", by="ROOT")
    asked_at = talk.clock.now()
    assert near((await talk.ask(topic="hazard"))["promised_at"], asked_at + 20 * MINUTE)
