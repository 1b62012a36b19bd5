"""Proof of notice: from the published plan to the alarm, the call list and the recorded call, over HTTP."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import aiohttp

from services.contracts.outage import PlannedOutageCancelled, PlannedOutageChanged, PlannedOutagePublished
from services.contracts.portrait import CustomerProfileChanged
from services.kernel.clock import BUSINESS_ZONE
from services.kernel.jobs import JobRun
from services.kernel.manifest import Job
from services.notify.delivery import auditor, notices
from services.notify.delivery.links import link_key, token_of
from services.notify.rules.proof import Standing
from services.notify.templates.texts import templates
from tests.integration.notify.house import NotifyHouse
from tests.integration.notify.sending import open_sending
from tests.integration.notify.test_delivery import bodies, part, person, profile
from tests.integration.notify.test_routes import post

NOW = datetime.now(UTC)


def important(customer_id: str, *accounts: str) -> CustomerProfileChanged:
    return profile(customer_id, *accounts).model_copy(update={"importance_grade": "grade-1"})


def plan(days: float) -> PlannedOutagePublished:
    starts = NOW + timedelta(days=days)
    return PlannedOutagePublished(
        outage_id="PLAN-1", version=1, feeder_id="F-1", starts_at=starts, ends_at=starts + timedelta(hours=8),
        reason="更换环网柜", affected=part(1, 1, ("C-1", "A-1"), ("C-2", "B-1")),
    )  # fmt: skip


async def prepared(house: NotifyHouse) -> None:
    await house.hear(
        important("C-1", "A-1"), profile("C-2", "B-1"), person("P-1", "C-1", openid="openid-1"),
        person("P-2", "C-2", openid="openid-2"), post("account-manager", "M-1", "C-1"),
        post("service-desk", "D-1", "C-1", "C-2"),
    )  # fmt: skip


async def test_an_important_customer_who_did_not_open_the_notice_blocks_the_plan_until_a_call_is_recorded(
    house: NotifyHouse,
) -> None:
    await prepared(house)
    await house.hear(plan(9))
    await house.send_due()
    assert len(house.wechat.sent) == 2
    await house.rows("UPDATE notify.delivery SET delivered_at = now(), state = 'delivered'")  # receipts of both
    sending = open_sending(house)
    sending.clock.advance(NOW - sending.clock.now())
    for days, expected in ((0, {Standing.PENDING: 1, Standing.PROVEN: 1}), (1.01, None)):
        sending.clock.advance(NOW + timedelta(days=days) - sending.clock.now())
        async with sending.work(f"judge|{days}") as work:
            found = await notices.judge(work)
        if expected is not None:
            assert found == expected
    [alarm] = bodies(await house.said("planned-notice-unproven"))
    assert (alarm["customer_id"], alarm["outage_id"], alarm["important"]) == ("C-1", "PLAN-1", True)
    [fine] = bodies(await house.said("planned-notice-proven"))
    assert (fine["customer_id"], fine["level"], fine["in_time"]) == ("C-2", "delivered", True)
    async with sending.work("judge again") as work:
        await notices.judge(work)
    assert len(await house.said("planned-notice-unproven")) == 1, "said once"
    await house.rows("UPDATE notify.watched_outage SET starts_at = now() + interval '7 days 23 hours'")
    async with house.served() as call:
        status, listed = await call("GET", "/planned-outages/PLAN-1/call-list", by="D-1")
        assert status == 200 and [c["customer_id"] for c in listed["calls"]] == ["C-1"]
        assert listed["calls"][0]["people"][0]["phone"] == "13800005678"
        assert (await call("GET", "/planned-outages/PLAN-1/call-list", by="P-1"))[0] == 403
        body = {"customer_id": "C-1", "kind": "call", "person_id": "P-1", "words": "已电话告知"}
        assert (await call("POST", "/planned-outages/PLAN-1/proofs", by="D-1", body=body))[0] == 204
        assert (await call("POST", "/planned-outages/PLAN-9/proofs", by="D-1", body=body))[0] == 404
        status, proof = await call("GET", "/planned-outages/PLAN-1/proof", by="D-1")
        assert {c["customer_id"]: c["standing"] for c in proof["customers"]} == {"C-1": "proven", "C-2": "proven"}
    async with sending.work("judge at last") as work:
        await notices.judge(work)
    proven = {b["customer_id"]: b for b in bodies(await house.said("planned-notice-proven"))}
    assert (proven["C-1"]["level"], proven["C-1"]["in_time"]) == ("call-recorded", True)


def moved(version: int, days: float) -> PlannedOutageChanged:
    affected = part(1, 1, ("C-1", "A-1"), ("C-2", "B-1")).model_copy(update={"set_version": version})
    window = plan(days).model_copy(update={"version": version, "affected": affected})
    return PlannedOutageChanged.model_validate(window.model_dump())


async def judged(house: NotifyHouse, name: str) -> dict[Standing, int]:
    sending = open_sending(house)
    sending.clock.advance(NOW - sending.clock.now())
    async with sending.work(f"judge|{name}") as work:
        return await notices.judge(work)


async def test_who_knew_of_the_old_window_is_not_proven_to_know_of_the_new_one(house: NotifyHouse) -> None:
    await prepared(house)
    await house.hear(plan(9))
    await house.send_due()
    await house.rows("UPDATE notify.delivery SET delivered_at = now(), opened_at = now(), state = 'delivered'")
    assert await judged(house, "first") == {Standing.PROVEN: 2}
    await house.hear(moved(2, days=12))
    assert await judged(house, "moved") == {Standing.PENDING: 2}
    await house.send_due()
    await house.rows("UPDATE notify.delivery SET opened_at = now() WHERE event_class = 'planned-outage-changed'")
    assert await judged(house, "read") == {Standing.PROVEN: 2}
    said = bodies(await house.said("planned-notice-proven"))
    assert sorted((s["customer_id"], s["plan_version"]) for s in said) == [
        ("C-1", 1), ("C-1", 2), ("C-2", 1), ("C-2", 2),
    ]  # fmt: skip


async def test_who_was_told_of_the_moved_plan_alone_hears_of_its_end_and_what_had_not_gone_stays(
    house: NotifyHouse,
) -> None:
    await prepared(house)
    await house.hear(plan(9), moved(2, days=12), moved(3, days=13))
    assert await house.send_due() == 2
    assert [m["data"]["time3"]["value"] for m in house.wechat.sent] == [
        (NOW + timedelta(days=13)).astimezone(BUSINESS_ZONE).strftime("%Y年%m月%d日 %H:%M")
    ] * 2, "only the newest window goes out"
    ended = moved(4, days=13)
    await house.hear(moved(4, days=14), PlannedOutageCancelled.model_validate({**ended.model_dump(), "version": 5}))
    assert await house.send_due() == 2
    shape = templates()["planned-outage-cancelled"].wechat
    assert shape is not None and {m["template_id"] for m in house.wechat.sent[2:]} == {shape.template_id}
    counted = "SELECT reason, count(*) FROM notify.delivery WHERE state = 'suppressed' GROUP BY 1 ORDER BY 1"
    assert [tuple(r) for r in await house.rows(counted)] == [("superseded", 4), ("withdrawn-before-sending", 2)]


async def test_the_auditor_runs_as_a_job_and_counts_what_stands_still(house: NotifyHouse) -> None:
    await prepared(house)
    await house.hear(plan(9))
    await house.rows("UPDATE notify.delivery SET state = 'accepted', accepted_at = now() - interval '11 minutes'")
    await house.rows("INSERT INTO notify.job_lease (name, holder, fence) VALUES ('a', 'h', 1)")
    job = Job(name="a", every=timedelta(minutes=1), run=auditor.audit)
    await auditor.audit(JobRun(job=job, database=house.database, holder="h", fence=1, due_at=NOW))
    sending = open_sending(house)
    sending.clock.advance(datetime.now(UTC) - sending.clock.now())
    async with sending.work("look") as work:
        found = await auditor.findings(work)
    assert found["accepted_without_receipt"] == 2 and found["orphans"] == 0
    await house.rows("UPDATE notify.delivery SET give_up_at = now() - interval '1 hour', confirm_by = NULL")
    async with sending.work("look again") as work:
        assert (await auditor.findings(work))["orphans"] == 2, "the query can find an orphan"


async def test_a_link_is_the_persons_own_opens_once_and_one_tap_acknowledges(house: NotifyHouse) -> None:
    await prepared(house)
    await house.hear(plan(9))
    await house.send_due()
    [row] = await house.rows("SELECT delivery_id FROM notify.delivery WHERE person_id = 'P-1'")
    token = token_of(row["delivery_id"], key=link_key(), now=NOW)
    async with house.served() as call, aiohttp.ClientSession() as session:
        link = f"{call.url}/notify/v1/m/{token}"
        async with session.get(link) as answer:
            page = await answer.text()
            assert answer.status == 200 and "A-1" in page and "确认收到" in page
        for _ in range(2):
            async with session.post(f"{link}/acknowledge") as answer:
                assert answer.status == 200 and "已确认收到" in await answer.text()
        async with session.get(link[:-3] + "AAA") as answer:
            assert answer.status == 404
        async with session.post(f"{link}/unsubscribe") as answer:
            assert answer.status == 204
        _, told = await call("GET", f"/deliveries/{row['delivery_id']}/timeline", by="M-1")
        assert [line["what"] for line in told["lines"]] == [
            "planned", "attempt 1: accepted", "accepted", "delivered", "opened", "acknowledged",
        ]  # fmt: skip
        assert (await call("GET", f"/deliveries/{row['delivery_id']}/timeline", by="D-9"))[0] == 403
        assert (await call("POST", f"/inbox/{row['delivery_id']}/open", by="P-2"))[0] == 404
    assert await house.rows("SELECT 1 FROM notify.preference") == [], "a mandatory class cannot be unsubscribed"
    for event in ("message-opened", "message-acknowledged"):
        assert [b["person_id"] for b in bodies(await house.said(event))] == ["P-1"]


async def test_the_stream_replays_what_was_missed_and_brings_what_comes(house: NotifyHouse) -> None:
    await prepared(house)
    await house.hear(plan(9))
    async with house.served() as call, aiohttp.ClientSession() as session:
        head = {"Authorization": f"Bearer {call.token('P-1')}"}
        url = f"{call.url}/notify/v1/inbox/stream"
        async with session.get(url, headers=head, timeout=aiohttp.ClientTimeout(total=20)) as stream:
            assert stream.content_type == "text/event-stream"
            first = await next_event(stream)
            assert first["data"]["event_class"] == "planned-outage" and first["data"]["unread"] == 1
            idle = "SELECT count(*) AS n FROM pg_stat_activity WHERE state LIKE 'idle in transaction%' AND datname = current_database()"  # noqa: E501
            assert [tuple(r) for r in await house.rows(idle)] == [(0,)], "no session is held while streaming"
            await house.hear(other_plan("PLAN-2"))
            second = await next_event(stream)
            assert second["data"]["subject_id"] == "PLAN-2" and second["data"]["unread"] == 2
        await house.hear(other_plan("PLAN-3"))
        async with session.get(url, params={"seconds": "0"}, headers={**head, "Last-Event-ID": first["id"]}) as again:
            missed = [json.loads(x.removeprefix("data: ")) for x in (await again.text()).splitlines() if "data: " in x]
        assert [m["subject_id"] for m in missed] == ["PLAN-2", "PLAN-3"]
        assert (await call("GET", "/unread", by="P-1"))[1] == {"unread": 3}
        assert (await call("POST", f"/inbox/{missed[0]['delivery_id']}/open", by="P-1"))[0] == 204
        assert (await call("GET", "/unread", by="P-1"))[1] == {"unread": 2}


def other_plan(outage_id: str) -> PlannedOutagePublished:
    affected = part(1, 1, ("C-1", "A-1")).model_copy(update={"set_id": uuid4().hex})
    return plan(9).model_copy(update={"outage_id": outage_id, "affected": affected})


async def next_event(stream: aiohttp.ClientResponse) -> dict[str, Any]:
    event: dict[str, Any] = {}
    async for line in stream.content:
        text = line.decode().strip()
        if text.startswith("data: "):
            event["data"] = json.loads(text.removeprefix("data: "))
        elif text.startswith("id: "):
            event["id"] = text.removeprefix("id: ")
        elif not text and "data" in event:
            return event
    raise AssertionError("the stream ended")


async def test_receipts_of_text_messages_need_the_secret_address_and_end_a_message_once(house: NotifyHouse) -> None:
    await prepared(house)
    await house.hear(plan(9))
    [row] = await house.rows(
        "UPDATE notify.delivery SET state = 'accepted', channel = 'sms' WHERE person_id = 'P-1' RETURNING delivery_id"
    )
    report = [{"out_id": row["delivery_id"].hex, "success": True, "err_code": "DELIVERED", "biz_id": "1"}]
    async with house.served() as call, aiohttp.ClientSession() as session:
        base = f"{call.url}/notify/v1/sms/receipts/aliyun"
        for token, body, expected in (
            ("wrong-token", report, 403), ("sms-token", report, 200), ("sms-token", report, 200),
            ("sms-token", [{"nonsense": 1}], 400), ("sms-token", {"a": 1}, 400),
        ):  # fmt: skip
            async with session.post(f"{base}/{token}", json=body) as answer:
                assert answer.status == expected, (token, body)
    assert len(await house.said("message-delivered")) == 1


async def test_preferences_are_ones_own_and_cannot_switch_a_mandatory_class_off(house: NotifyHouse) -> None:
    await prepared(house)
    words = [{"event_class": "bill-issued", "channel": "sms", "wanted": False}]
    quiet = {"zone": "Asia/Urumqi", "begins": "22:00:00", "ends": "07:30:00"}
    async with house.served() as call:
        assert (await call("PUT", "/preferences", by="P-1", body={"words": words, "quiet": quiet}))[0] == 204
        assert (await call("GET", "/preferences", by="P-1"))[1] == {"words": words, "quiet": quiet}
        assert (await call("GET", "/preferences", by="P-2"))[1] == {"words": [], "quiet": None}
        fault = [{"event_class": "fault-outage", "channel": "*", "wanted": False}]
        assert (await call("PUT", "/preferences", by="P-1", body={"words": fault}))[0] == 422
        bad = {"words": [], "quiet": {**quiet, "zone": "Mars/Base"}}
        assert (await call("PUT", "/preferences", by="P-1", body=bad))[0] == 422
