"""Retries, shares, limits, quiet hours and proof: each rule below, at and above its border."""

from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.notify.delivery.checks import wanted
from services.notify.delivery.limits import shipped_limits
from services.notify.delivery.links import opened_link, token_of
from services.notify.delivery.notices import proof_rules
from services.notify.delivery.rows import delivery_id_of
from services.notify.rules.limits import RESERVED_SHARE, Limit, available, usable
from services.notify.rules.proof import Level, Proof, Standing, best, rule_on, standing
from services.notify.rules.quiet import QuietHours, in_quiet, next_morning
from services.notify.rules.retries import (
    AwaitReceipt,
    FailureKind,
    GiveUp,
    Retry,
    Situation,
    decide,
    next_midnight,
    wait_before,
)
from services.notify.rules.shares import guaranteed

NOW = datetime(2026, 7, 1, 4, 0, tzinfo=UTC)
MINUTES = timedelta(minutes=1)


def situation(**given_: object) -> Situation:
    base = {
        "kind": FailureKind.TRANSIENT, "ambiguous": False, "attempts": 1, "priority": 0, "now": NOW,
        "give_up_at": NOW + 60 * MINUTES, "dedupe": 8 * MINUTES,
    }  # fmt: skip
    return Situation(**{**base, **given_})  # type: ignore[arg-type]


def test_a_busy_provider_is_asked_again_later_and_later_until_the_message_is_too_old() -> None:
    assert [wait_before(attempts=n).total_seconds() for n in (1, 2, 3, 9, 10, 50)] == [1, 2, 4, 256, 300, 300]
    assert wait_before(attempts=1, jitter=0.5) == timedelta(seconds=0.75)
    one = timedelta(seconds=1)
    assert decide(situation(give_up_at=NOW + one + timedelta(microseconds=1))) == Retry(at=NOW + one)
    assert decide(situation(give_up_at=NOW + one)) == GiveUp()


def test_after_an_answer_that_never_came_the_same_id_is_used_for_eight_minutes_and_then_never_again() -> None:
    doubt = NOW - 8 * MINUTES + timedelta(seconds=1)
    assert isinstance(decide(situation(ambiguous=True)), Retry)
    assert decide(situation(doubtful_since=doubt)) == Retry(at=NOW + timedelta(seconds=1))
    late = doubt - timedelta(microseconds=1)
    assert decide(situation(doubtful_since=late)) == AwaitReceipt(until=late + 10 * MINUTES)
    assert decide(situation(doubtful_since=NOW - 30 * MINUTES)) == AwaitReceipt(until=NOW)


def test_a_provider_without_memory_is_never_asked_twice_about_a_doubtful_message() -> None:
    verdict = decide(situation(ambiguous=True, dedupe=timedelta(0)))
    assert verdict == AwaitReceipt(until=NOW + 10 * MINUTES)


@pytest.mark.parametrize(
    ("kind", "urgent", "other"),
    [
        (FailureKind.RECIPIENT, GiveUp(unusable=True), GiveUp(unusable=True)),
        (FailureKind.WINDOW, GiveUp(), GiveUp()),
        (FailureKind.CONTENT, GiveUp(), GiveUp()),
        (FailureKind.CONFIGURATION, GiveUp(), GiveUp()),
        (FailureKind.MINUTE_QUOTA, Retry(at=NOW + MINUTES), Retry(at=NOW + MINUTES)),
        (FailureKind.FREQUENCY, GiveUp(), Retry(at=NOW + 10 * MINUTES)),
        (FailureKind.FLAPPING, Retry(at=NOW + timedelta(seconds=30)), Retry(at=NOW + timedelta(seconds=30))),
    ],
)
def test_each_class_of_failure_has_its_consequence(kind: FailureKind, urgent: object, other: object) -> None:
    assert decide(situation(kind=kind, priority=1)) == urgent
    assert decide(situation(kind=kind, priority=2)) == other


def test_a_day_quota_lets_bills_wait_for_midnight_in_beijing_and_urgent_ones_go_elsewhere() -> None:
    assert next_midnight(NOW) == datetime(2026, 7, 1, 16, 0, tzinfo=UTC)
    assert next_midnight(datetime(2026, 7, 1, 15, 59, 59, tzinfo=UTC)) == datetime(2026, 7, 1, 16, 0, tzinfo=UTC)
    assert next_midnight(datetime(2026, 7, 1, 16, 0, tzinfo=UTC)) == datetime(2026, 7, 2, 16, 0, tzinfo=UTC)
    long = {"kind": FailureKind.DAY_QUOTA, "give_up_at": NOW + timedelta(days=2)}
    assert decide(situation(**long, priority=1)) == GiveUp()
    assert decide(situation(**long, priority=2)) == Retry(at=next_midnight(NOW))


def test_a_flapping_error_is_believed_at_the_second_time() -> None:
    assert isinstance(decide(situation(kind=FailureKind.FLAPPING, attempts=1)), Retry)
    assert decide(situation(kind=FailureKind.FLAPPING, attempts=2)) == GiveUp()


@given(st.integers(0, 2_000))
def test_shares_add_up_keep_the_order_of_urgency_and_starve_nobody(room: int) -> None:
    parts = guaranteed(room)
    assert sum(parts) == room and list(parts) == sorted(parts, reverse=True)
    assert room < 4 or min(parts) >= 1


def test_shares_of_fifteen_are_the_weights() -> None:
    assert guaranteed(15) == (8, 4, 2, 1)


def test_hard_limits_of_the_shipped_data_are_never_passed_in_any_window() -> None:
    """A bucket admits burst + refill in a window; the providers' rolling windows are hard."""
    hard = {("aliyun", "number-day"): 40, ("wecom", "member-minute"): 30, ("wecom", "member-hour"): 1000}
    known = {(limit.provider, limit.name): limit for own in shipped_limits().values() for limit in own}
    for key, most in hard.items():
        assert known[key].burst + known[key].refill <= most, key


LIMIT = Limit(name="second", provider="x", scope="account", burst=10, refill=5, window_s=1)
DAY = Limit(name="day", provider="x", scope="account", burst=100, refill=0, window_s=86400, calendar_day=True)


def test_a_bucket_fills_with_time_up_to_its_burst_and_not_by_a_clock_that_went_back() -> None:
    assert available(LIMIT, tokens=0, refilled_at=NOW, now=NOW + timedelta(seconds=1)) == 5
    assert available(LIMIT, tokens=9, refilled_at=NOW, now=NOW + timedelta(hours=1)) == 10
    assert available(LIMIT, tokens=3, refilled_at=NOW, now=NOW - timedelta(hours=1)) == 3


def test_a_fifth_of_the_day_is_kept_for_urgent_messages() -> None:
    assert RESERVED_SHARE == 0.2
    assert [usable(DAY, t, urgent=False) for t in (21, 20, 19)] == [1, 0, 0]
    assert [usable(DAY, t, urgent=True) for t in (21, 1, 0.5)] == [21, 1, 0]


def test_a_day_is_a_day_in_beijing() -> None:
    before, after = datetime(2026, 7, 1, 15, 59, tzinfo=UTC), datetime(2026, 7, 1, 16, 0, tzinfo=UTC)
    assert DAY.bucket(now=before) == "x|day|2026-07-01" and DAY.bucket(now=after) == "x|day|2026-07-02"


NIGHT = QuietHours(zone="Asia/Shanghai", begins=time(21), ends=time(8))


@pytest.mark.parametrize(
    ("at", "quiet"),
    [("2026-07-01T12:59:59+00:00", False), ("2026-07-01T13:00:00+00:00", True), ("2026-07-01T23:59:59+00:00", True),
     ("2026-07-02T00:00:00+00:00", False)],
)  # fmt: skip
def test_quiet_begins_at_nine_in_the_evening_and_ends_at_eight(at: str, quiet: bool) -> None:
    assert in_quiet(datetime.fromisoformat(at), NIGHT) is quiet


def test_quiet_hours_follow_the_zone_of_the_recipient_and_may_lie_within_a_day() -> None:
    urumqi = QuietHours(zone="Asia/Urumqi", begins=time(21), ends=time(8))
    at = datetime(2026, 7, 1, 14, 0, tzinfo=UTC)  # 22:00 in Shanghai, 20:00 in Urumqi
    assert in_quiet(at, NIGHT) and not in_quiet(at, urumqi)
    noon = QuietHours(zone="Asia/Shanghai", begins=time(12), ends=time(14))
    assert [in_quiet(datetime(2026, 7, 1, h, 0, tzinfo=UTC), noon) for h in (3, 4, 5, 6)] == [False, True, True, False]
    assert next_morning(at, NIGHT) == datetime(2026, 7, 2, 0, 0, tzinfo=UTC)
    assert next_morning(datetime(2026, 7, 2, 0, 0, tzinfo=UTC), NIGHT) == datetime(2026, 7, 3, 0, 0, tzinfo=UTC)


START = datetime(2026, 7, 20, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(("temporary", "lead"), [(False, timedelta(days=7)), (True, timedelta(hours=24))])
def test_a_proof_exactly_at_the_lead_is_in_time_and_a_moment_later_it_is_late(temporary: bool, lead: timedelta) -> None:
    rule = rule_on(proof_rules(), important=False, temporary=temporary, day=date(2026, 7, 20))
    for shift, expected in ((0, Standing.PROVEN), (-1, Standing.PROVEN), (1, Standing.LATE)):
        at = START - lead + timedelta(seconds=shift)
        assert standing(rule, proofs=[Proof(level=Level.DELIVERED, at=at)], starts_at=START, now=START) is expected


def test_an_unproven_important_customer_is_an_alarm_a_day_before_the_lead_and_others_at_the_lead() -> None:
    found = {}
    for important in (True, False):
        rule = rule_on(proof_rules(), important=important, temporary=False, day=date(2026, 7, 20))
        for days, seconds in ((8, -1), (8, 0), (7, -1), (7, 0)):
            now = START - timedelta(days=days) + timedelta(seconds=seconds)
            found[important, days, seconds] = standing(rule, proofs=[], starts_at=START, now=now)
    late = [key for key, where in found.items() if where is Standing.UNPROVEN]
    assert late == [(True, 8, 0), (True, 7, -1), (True, 7, 0), (False, 7, 0)]


def test_delivery_proves_for_others_but_an_important_customer_has_to_open_confirm_or_be_called() -> None:
    at = START - timedelta(days=10)
    for level in Level:
        for important in (True, False):
            rule = rule_on(proof_rules(), important=important, temporary=False, day=date(2026, 7, 20))
            there = standing(rule, proofs=[Proof(level=level, at=at)], starts_at=START, now=at) is Standing.PROVEN
            strong = level in (Level.OPENED, Level.ACKNOWLEDGED, Level.CALL_RECORDED)
            assert there is (strong if important else strong or level in (Level.DELIVERED, Level.ANNOUNCED)), level
    assert best([]) is None and best([Proof(level=x, at=at) for x in (Level.OPENED, Level.ACCEPTED)]) is Level.OPENED


def test_the_closest_word_of_a_person_counts() -> None:
    words = {("P", "*", "*"): False, ("P", "bill-issued", "*"): True, ("P", "bill-issued", "sms"): False}
    asked = [("bill-issued", "wechat"), ("bill-issued", "sms"), ("announcement", "wechat")]
    assert [wanted(words, person_id="P", event_class=e, channel=c) for e, c in asked] == [True, False, False]
    assert wanted({}, person_id="P", event_class="x", channel="sms")


def test_a_link_opens_its_own_message_until_it_ends_and_nothing_else() -> None:
    key, message = b"k" * 32, delivery_id_of(happening="h", person_id="p", channel="c")
    token = token_of(message, key=key, now=NOW)
    ends = NOW + timedelta(days=14)
    assert opened_link(token, key=key, now=ends - timedelta(seconds=1)) == message
    assert opened_link(token, key=key, now=ends) is None
    assert opened_link(token, key=b"x" * 32, now=NOW) is None
    for position in range(0, len(token), 5):
        other = token[:position] + ("A" if token[position] != "A" else "B") + token[position + 1 :]
        assert opened_link(other, key=key, now=NOW) is None
    assert opened_link("%%%", key=key, now=NOW) is None and opened_link("", key=key, now=NOW) is None
