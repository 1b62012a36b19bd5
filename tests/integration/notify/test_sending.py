"""Delivery under a moved clock: retries, doubt, fallback, limits, circuits, digests, last checks."""

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta

import pytest

from services.notify.adapters.port import ChannelError, Outgoing
from services.notify.channel_settings import channel_settings
from services.notify.delivery import outcomes
from services.notify.delivery.auditor import findings
from services.notify.delivery.rows import locked
from services.notify.rules.limits import Limit
from services.notify.rules.retries import FailureKind
from tests.integration.notify.house import NotifyHouse
from tests.integration.notify.provider import LOST, Provider, failing
from tests.integration.notify.sending import START, Sending, open_sending, people, rule

FAULT = rule("wechat", "sms", "inbox", fallback_seconds=60)
SCORE = rule("wechat", "mail", "inbox", priority=3, quiet="hold", give_up_minutes=2880)
MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)


@pytest.fixture(autouse=True)
def all_channels(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("KEYLINE_SMS_GATEWAY_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("KEYLINE_SMTP_HOST", "127.0.0.1")
    channel_settings.cache_clear()
    yield
    channel_settings.cache_clear()


@pytest.fixture
async def sending(house: NotifyHouse) -> Sending:
    opened = open_sending(house)
    await people(house, "P-1", "P-2")
    return opened


def lost(_: Outgoing) -> str:
    return LOST


async def test_a_lost_answer_is_asked_about_under_the_same_id_and_the_person_sees_one_message(sending: Sending) -> None:
    wechat = sending.provider("wechat")
    wechat.script = lost
    await sending.tell(["P-1"], rule=FAULT)
    await sending.settle()
    for _ in range(16):
        await sending.advance(by=30 * SECOND)
    assert len(wechat.calls) > 5 and len({m.message_id for _, m in wechat.calls}) == 1
    assert max(at for at, _ in wechat.calls) <= START + 8 * MINUTE
    assert len(wechat.shown) == 1
    assert len(sending.provider("sms").shown) == 1, "an urgent message whose fate is unknown goes by text as well"
    await sending.advance(to=11 * MINUTE)
    assert await sending.states() == [
        ("P-1", "wechat", "failed", "answer-lost"), ("P-1", "sms", "accepted", None),
        ("P-1", "inbox", "delivered", None),
    ]  # fmt: skip


async def test_a_doubtful_message_whose_next_try_was_held_up_beyond_the_providers_memory_is_not_sent_again(
    sending: Sending,
) -> None:
    wechat = sending.provider("wechat")
    wechat.script = lost
    await sending.tell(["P-1"], rule=FAULT)
    await sending.settle()
    wechat.script = None
    await sending.advance(to=11 * MINUTE)  # no sender ran, or the circuit was open: the try of the first second is due
    await sending.settle()
    assert [at for at, _ in wechat.calls] == [START] and len(wechat.shown) == 1
    assert [s[1:3] for s in await sending.states()][-1] == ("sms", "accepted"), "its fate is unknown: by text as well"


async def test_a_bill_whose_fate_is_unknown_is_not_pushed_again_but_stands_in_the_inbox(sending: Sending) -> None:
    sending.provider("wechat").script = lost
    bill = rule("wechat", "sms", "inbox", priority=3, give_up_minutes=2880)
    await sending.tell(["P-1"], rule=bill, event_class="efficiency-scored")
    await sending.settle()
    for _ in range(30):
        await sending.advance(by=30 * SECOND)
    assert len(sending.provider("wechat").shown) == 1 and sending.provider("sms").calls == []
    assert [s[1:3] for s in await sending.states()] == [("wechat", "failed"), ("inbox", "delivered")]


async def test_a_provider_without_memory_is_asked_once_and_then_the_receipt_decides(sending: Sending) -> None:
    sms = sending.provider("sms")
    sms.script = lost
    await sending.tell(["P-1"], rule=rule("sms", "inbox", fallback_seconds=60))
    await sending.settle()
    await sending.advance(by=30 * SECOND)
    assert len(sms.calls) == 1
    [(_, message)] = sms.shown
    async with sending.work("receipt") as work:
        await outcomes.receipt_of(work, delivery_id=message.delivery_id, delivered=True)
    assert await sending.states() == [("P-1", "sms", "delivered", None)]


async def test_a_permanent_failure_starts_the_next_channel_at_once_and_spoils_the_address(sending: Sending) -> None:
    sending.provider("wechat").script = failing(FailureKind.RECIPIENT, times=1, reason="43004")
    await sending.tell(["P-1"], rule=FAULT)
    await sending.settle()
    assert sending.clock.now() == START, "no time has passed"
    assert await sending.states() == [("P-1", "wechat", "failed", "43004"), ("P-1", "sms", "accepted", None)]
    spoilt = await sending.house.rows("SELECT kind FROM notify.contact WHERE unusable_because IS NOT NULL")
    assert [r["kind"] for r in spoilt] == ["wechat"]


@pytest.mark.parametrize(("priority", "seconds"), [(0, 60), (1, 600)])
async def test_without_a_receipt_the_next_channel_starts_exactly_when_its_time_has_come(
    sending: Sending, priority: int, seconds: int
) -> None:
    await sending.tell(["P-1", "P-2"], rule=rule("wechat", "sms", "inbox", priority=priority, fallback_seconds=seconds))
    await sending.settle()
    _, first = sending.provider("wechat").shown[0]
    async with sending.work("receipt") as work:  # one of the two has a receipt
        await outcomes.receipt_of(work, delivery_id=first.delivery_id, delivered=True)
    sms = sending.provider("sms")
    for shift, expected in ((-1, 0), (0, 1), (1, 1), (600, 1)):
        await sending.advance(to=timedelta(seconds=seconds + shift))
        assert len(sms.shown) == expected, shift
    assert sms.shown[0][0] == START + timedelta(seconds=seconds)


async def test_where_an_acknowledgement_is_wanted_a_receipt_does_not_stop_the_fallback_and_a_tap_does(
    sending: Sending,
) -> None:
    await sending.tell(["P-1", "P-2"], rule=rule("wechat", "sms", "inbox", fallback_seconds=60, ack=True))
    await sending.settle()
    messages = {m.address: m for _, m in sending.provider("wechat").shown}
    async with sending.work("receipts") as work:
        for message in messages.values():
            await outcomes.receipt_of(work, delivery_id=message.delivery_id, delivered=True)
        tapped = await locked(work, messages["openid-P-2"].delivery_id)
        assert tapped is not None
        await outcomes.acknowledged(work, row=tapped)
    await sending.advance(to=61 * SECOND)
    assert [m.address for _, m in sending.provider("sms").shown] == ["13800000000"]
    # P-1 taps on the first message while the second is under way: nothing further follows.
    async with sending.work("tap") as work:
        row = await locked(work, messages["openid-P-1"].delivery_id)
        assert row is not None
        await outcomes.acknowledged(work, row=row)
        await outcomes.acknowledged(work, row=row)
    await sending.advance(to=10 * MINUTE)
    assert Counter(s[2] for s in await sending.states("channel = 'wechat'")) == {"acknowledged": 2}
    assert await sending.states("channel = 'inbox'") == []
    said = await sending.house.said("message-acknowledged")
    assert sorted(r["body"].count("P-") for r in said) == [1, 1]


async def test_urgent_messages_go_first_and_bills_are_not_starved(sending: Sending) -> None:
    crowd = [f"X-{n}" for n in range(60)]
    await people(sending.house, *crowd)
    for priority in (3, 2, 1, 0):
        await sending.tell(crowd, rule=rule("wechat", "inbox", priority=priority), subject=f"S-{priority}")
    loop = sending.sender.loops["wechat"]
    loop._room = lambda: 15  # type: ignore[method-assign]  # one small claim
    await loop.turn()
    await loop.drain()
    taken = await sending.house.rows(
        "SELECT priority, count(*) AS n FROM notify.delivery WHERE attempts = 1 GROUP BY 1 ORDER BY 1"
    )
    assert [tuple(r) for r in taken] == [(0, 8), (1, 4), (2, 2), (3, 1)]


SLOW = Limit(name="second", provider="wechat", scope="account", burst=10, refill=20, window_s=1)


async def test_two_replicas_share_one_limit_and_never_pass_burst_and_rate(house: NotifyHouse) -> None:
    sending = open_sending(house, limits={"wechat": (SLOW,)})
    crowd = [f"X-{n}" for n in range(150)]
    await people(house, *crowd)
    await sending.tell(crowd, rule=rule("wechat", "inbox"))
    replicas = [sending.sender, sending.replica(limits={"wechat": (SLOW,)})]
    for tick in range(60):
        for replica in replicas:
            await replica.turn()
            await replica.drain()
        sent = len(sending.provider("wechat").shown)
        assert sent <= 10 + 20 * tick * 0.1 + 1e-6, f"after {tick} tenths of a second"
        sending.clock.advance(timedelta(milliseconds=100))
    assert len(sending.provider("wechat").shown) >= 0.97 * min(150, 10 + 20 * 5.9)


async def test_tokens_taken_ahead_are_spent_for_all_replicas_and_each_message_waits_for_its_own(
    house: NotifyHouse,
) -> None:
    sending = open_sending(house, limits={"wechat": (SLOW,)})
    crowd = [f"X-{n}" for n in range(60)]
    await people(house, *crowd)
    await sending.tell(crowd, rule=rule("wechat", "inbox"))
    first, other = sending.sender.loops["wechat"], sending.replica(limits={"wechat": (SLOW,)}).loops["wechat"]
    taken = await first.turn(ahead_s=0.5)
    assert len(taken.messages) == 20, "the burst, and what half a second refills"
    assert [round(m.after_s, 3) for m in taken.messages[9:12]] == [0.0, 0.05, 0.1]
    assert (await other.turn(ahead_s=0.5)).messages == []
    sending.clock.advance(timedelta(milliseconds=100))
    assert len((await other.turn(ahead_s=0.5)).messages) == 2
    await first.drain()
    await other.drain()
    assert len(sending.provider("wechat").shown) == 22


async def test_the_last_fifth_of_a_day_is_for_urgent_messages_and_midnight_brings_a_new_day(house: NotifyHouse) -> None:
    day = Limit(name="day", provider="wechat", scope="account", burst=10, refill=0, window_s=86400, calendar_day=True)
    sending = open_sending(house, limits={"wechat": (day,)})
    crowd = [f"X-{n}" for n in range(12)]
    await people(house, *crowd)
    await sending.tell(crowd, rule=rule("wechat", "inbox", priority=3, give_up_minutes=2880), subject="bills")
    await sending.settle()
    assert len(sending.provider("wechat").shown) == 8
    await sending.tell(crowd[:3], rule=rule("wechat", "inbox", give_up_minutes=2880), subject="fault")
    await sending.settle()
    assert len(sending.provider("wechat").shown) == 10
    await sending.advance(by=timedelta(hours=12))
    assert len(sending.provider("wechat").shown) == 15


async def test_who_is_over_a_recipient_limit_waits_as_a_row_or_goes_elsewhere_when_it_is_urgent(
    house: NotifyHouse,
) -> None:
    member = Limit(name="member", provider="wechat", scope="recipient", burst=2, refill=2, window_s=60)
    sending = open_sending(house, limits={"wechat": (member,)})
    await people(house, "P-1")
    for number in range(4):
        await sending.tell(["P-1"], rule=rule("wechat", "inbox", priority=3), subject=f"S-{number}")
    await sending.settle()
    assert len(sending.provider("wechat").shown) == 2
    await sending.tell(["P-1"], rule=FAULT, subject="urgent")
    await sending.settle()
    assert len(sending.provider("wechat").shown) == 2 and len(sending.provider("sms").shown) == 1
    await sending.advance(by=31 * SECOND)
    await sending.advance(by=31 * SECOND)
    assert len(sending.provider("wechat").shown) == 4


async def test_a_broken_provider_is_left_alone_urgent_messages_pass_on_and_one_probe_closes_the_circuit(
    sending: Sending,
) -> None:
    wechat = sending.provider("wechat")
    wechat.script = failing(FailureKind.TRANSIENT, times=10)
    crowd = [f"X-{n}" for n in range(10)]
    await people(sending.house, *crowd)
    bills = rule("wechat", "inbox", priority=3, give_up_minutes=2880)
    await sending.tell(crowd, rule=bills, subject="bills")
    await sending.settle()
    [found] = await sending.house.rows("SELECT open, probe_at - opened_at AS wait, reason FROM notify.circuit")
    assert (found["open"], found["wait"]) == (True, 30 * SECOND)
    await sending.tell(["P-1"], rule=FAULT)
    await sending.advance(by=5 * SECOND)
    assert len(wechat.calls) == 10 and len(sending.provider("sms").shown) == 1
    assert ("P-1", "wechat", "failed", "circuit-open") in await sending.states()
    sending.clock.advance(25 * SECOND)
    await sending.sender.turn()
    await sending.sender.drain()
    assert len(wechat.calls) == 11, "one message to try with, not ten"
    await sending.settle()
    assert len(wechat.shown) == 10
    assert [r["open"] for r in await sending.house.rows("SELECT open FROM notify.circuit")] == [False]


async def test_a_template_that_is_refused_stops_alone_and_the_account_goes_on(sending: Sending) -> None:
    def script(message: Outgoing) -> ChannelError | None:
        bad = message.event_class == "hazard-found"
        return ChannelError("40037", kind=FailureKind.CONFIGURATION) if bad else None

    sending.provider("wechat").script = script
    await sending.tell(["P-1"], rule=FAULT, event_class="hazard-found", subject="H-1")
    await sending.settle()
    await sending.tell(["P-1", "P-2"], rule=FAULT, event_class="hazard-found", subject="H-2")
    await sending.tell(["P-1"], rule=FAULT)
    await sending.settle()
    assert sending.provider("wechat").count("fault-outage") == 1
    assert len([1 for _, m in sending.provider("wechat").calls if m.event_class == "hazard-found"]) == 1
    assert len(sending.provider("sms").shown) == 3


async def test_the_second_sms_provider_takes_over_while_the_first_is_refused(house: NotifyHouse) -> None:
    sending = open_sending(house, sms=2)
    await people(house, "P-1", "P-2")
    sending.provider("sms").script = failing(FailureKind.CONFIGURATION, times=1, reason="arrears", account_wide=True)
    await sending.tell(["P-1"], rule=rule("sms", "inbox"), subject="S-1")
    await sending.settle()
    await sending.tell(["P-2"], rule=rule("sms", "inbox"), subject="S-2")
    await sending.settle()
    assert [len(sending.provider("sms", n).shown) for n in (0, 1)] == [0, 1]


async def test_what_is_made_superfluous_before_it_goes_is_not_sent_and_not_corrected(sending: Sending) -> None:
    bill = rule("wechat", "inbox", priority=3, give_up_minutes=2880)
    wechat: Provider = sending.provider("wechat")
    await sending.tell(["P-1"], rule=bill, event_class="efficiency-scored", subject="B-1")
    await sending.settle()
    await sending.tell(["P-1", "P-2"], rule=bill, event_class="efficiency-scored", subject="B-1")
    correction = rule("wechat", "inbox", priority=2, told_of=("efficiency-scored",), withdraws_unsent=True)
    await sending.tell(["P-1", "P-2"], rule=correction, event_class="reclassified", subject="B-1", facts=CHANGED)
    await sending.settle()
    assert [(m.address, m.event_class) for _, m in wechat.shown] == [
        ("openid-P-1", "efficiency-scored"), ("openid-P-1", "reclassified"),
    ]  # fmt: skip
    assert await sending.states("person_id = 'P-2'") == [
        ("P-2", "wechat", "suppressed", "withdrawn-before-sending"), ("P-2", "wechat", "suppressed", "never-told"),
    ]  # fmt: skip


CHANGED = {
    "at": START.isoformat(), "before": [], "after": ["high-service"], "attention_before": 0, "attention_after": 1,
    "reasons": "账单更正",
}  # fmt: skip


async def test_who_switched_a_class_off_is_not_told_unless_it_is_mandatory(sending: Sending) -> None:
    await sending.tell(["P-1"], rule=rule("wechat", "inbox", priority=3), event_class="efficiency-scored")
    await sending.tell(["P-1"], rule=FAULT)
    await sending.house.rows(
        "INSERT INTO notify.preference VALUES ('P-1', '*', '*', false, now())"
    )  # said after planning: the claim looks again
    await sending.settle()
    assert await sending.states() == [
        ("P-1", "wechat", "suppressed", "switched-off"), ("P-1", "wechat", "accepted", None),
    ]  # fmt: skip


async def test_what_is_too_late_ends_with_that_reason_and_the_inbox(sending: Sending) -> None:
    sending.provider("wechat").script = failing(FailureKind.MINUTE_QUOTA, times=1)
    await sending.tell(["P-1"], rule=rule("wechat", "inbox", give_up_minutes=2))
    await sending.settle()
    sending.clock.advance(3 * MINUTE)
    await sending.settle()
    assert await sending.states() == [("P-1", "wechat", "failed", "too-late"), ("P-1", "inbox", "delivered", None)]


async def test_every_message_of_a_stormy_day_ends_and_the_auditor_counts_no_orphan(sending: Sending) -> None:
    crowd = [f"X-{n}" for n in range(40)]
    await people(sending.house, *crowd)
    kinds = [*FailureKind, None, None, LOST]
    turn = 0

    def storm(_: Outgoing) -> ChannelError | str | None:
        nonlocal turn
        turn += 1
        kind = kinds[turn % len(kinds)]
        return ChannelError(str(kind), kind=kind) if isinstance(kind, FailureKind) else kind

    for provider in (sending.provider("wechat"), sending.provider("sms")):
        provider.script = storm
    for number, priority in enumerate((0, 1, 2, 3)):
        chosen = rule("wechat", "sms", "inbox", priority=priority, fallback_seconds=60)
        await sending.tell(crowd, rule=chosen, subject=f"S-{number}")
    for _ in range(60):
        await sending.advance(by=7 * MINUTE)
    open_rows = await sending.states("state NOT IN ('delivered', 'acknowledged', 'failed', 'suppressed')")
    assert open_rows == []
    async with sending.work("audit") as work:
        assert set((await findings(work)).values()) == {0}
    ends = await sending.house.rows(
        "SELECT happening, person_id FROM notify.delivery GROUP BY 1, 2"
        " HAVING count(*) FILTER (WHERE state IN ('delivered', 'acknowledged')) = 0"
    )
    assert ends == [], "somebody was told on no channel, not even in the inbox"
