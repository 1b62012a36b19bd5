"""The reply clock against a count of minutes, over National Day 2026 and its make-up working Saturday."""

from bisect import bisect_left
from datetime import UTC, date, datetime, timedelta
from itertools import accumulate
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from services.notify.directory.working_time import is_working_day
from services.notify.policy.document import ReplyPromise, shipped_policy
from services.notify.rules import reply_clock
from services.notify.rules.reply_clock import Level, ReplyTimes
from services.notify.rules.topics import topic_of

SHANGHAI, KASHGAR = ZoneInfo("Asia/Shanghai"), ZoneInfo("Asia/Kashgar")
MINUTE = timedelta(minutes=1)
FIRST = datetime(2026, 9, 30, tzinfo=SHANGHAI)
MINUTES = 14 * 24 * 60
ASKED_WITHIN = 13 * 24 * 60
# As the State Council's notice for 2026 says: off from the 1st to the 7th, Saturday the 10th is worked.
WORKED = {date(2026, 9, 30), *(date(2026, 10, d) for d in (8, 9, 10, 12, 13))}


def shipped() -> ReplyTimes:
    return shipped_policy().replies[0].times


def served(minute: datetime, zone: ZoneInfo) -> bool:
    """Written out beside the rule: 8:30 to 12:00 and 14:00 to 17:30 on the days above."""
    local = minute.astimezone(zone)
    clock = local.hour * 60 + local.minute
    return local.date() in WORKED and (510 <= clock < 720 or 840 <= clock < 1050)


@pytest.mark.parametrize("zone", [SHANGHAI, KASHGAR], ids=str)
def test_every_minute_of_a_holiday_week_a_make_up_week_and_lunch(zone: ZoneInfo) -> None:
    times = ReplyTimes(
        periods=shipped().periods, first_reply=shipped().first_reply, steps=shipped().steps, zone=zone
    )  # fmt: skip
    minutes = [FIRST + n * MINUTE for n in range(MINUTES)]
    counted = [0, *accumulate(served(m, zone) for m in minutes)]
    for n in range(ASKED_WITHIN):
        asked_at = minutes[n]
        assert reply_clock.in_service(asked_at, times=times, works_on=is_working_day) == served(asked_at, zone), n
        for wanted, found in (
            (5, reply_clock.promised_at(asked_at, times=times, works_on=is_working_day)),
            (15, reply_clock.next_step(asked_at, Level.DEPUTY, times=times, works_on=is_working_day)),
            (30, reply_clock.next_step(asked_at, Level.TEAM_LEADER, times=times, works_on=is_working_day)),
        ):
            assert found == minutes[0] + bisect_left(counted, counted[n] + wanted) * MINUTE, (asked_at, wanted)


def test_service_time_and_the_level_that_is_due_agree_with_the_count() -> None:
    minutes = [FIRST + n * MINUTE for n in range(MINUTES)]
    counted = [0, *accumulate(served(m, SHANGHAI) for m in minutes)]
    for n in range(0, ASKED_WITHIN, 37):
        for later in (0, 1, 4, 5, 6, 29, 31, 95, 700, 1440, 12_000):
            if n + later >= MINUTES:
                continue
            asked_at, now, passed = minutes[n], minutes[n + later], counted[n + later] - counted[n]
            took = reply_clock.service_time(asked_at, now, times=shipped(), works_on=is_working_day)
            assert took == passed * MINUTE
            level = reply_clock.level_at(asked_at, now, times=shipped(), works_on=is_working_day)
            assert level == (passed >= 5) + (passed >= 15) + (passed >= 30)


def test_seconds_count_and_the_last_level_has_no_next() -> None:
    asked_at = datetime(2026, 9, 30, 17, 28, 30, tzinfo=SHANGHAI).astimezone(UTC)
    due = reply_clock.promised_at(asked_at, times=shipped(), works_on=is_working_day)
    assert due == datetime(2026, 10, 8, 8, 33, 30, tzinfo=SHANGHAI)
    assert reply_clock.next_step(asked_at, Level.DESK, times=shipped(), works_on=is_working_day) is None
    with pytest.raises(ValueError, match="no working day"):
        reply_clock.promised_at(asked_at, times=shipped(), works_on=lambda _: False)


def promise(**changed: object) -> ReplyPromise:
    hours = [{"begins": "08:30", "ends": "12:00"}, {"begins": "14:00", "ends": "17:30"}]
    given = {"service_hours": hours, "first_reply_minutes": 5, "escalate_minutes": [5, 15, 30]}
    return ReplyPromise.model_validate(given | changed)


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"service_hours": [{"begins": "12:00", "ends": "08:30"}]}, "service_hours"),
        ({"service_hours": [{"begins": "08:30", "ends": "12:00"}, {"begins": "11:00", "ends": "17:00"}]},
         "service_hours"),
        ({"service_hours": []}, "service_hours"),
        ({"escalate_minutes": [5, 30, 15]}, "escalate_minutes"),
        ({"escalate_minutes": [3, 15, 30]}, "escalate_minutes"),
        ({"escalate_minutes": [5, 15]}, "escalate_minutes"),
        ({"first_reply_minutes": 0}, "first_reply_minutes"),
    ],
)  # fmt: skip
def test_a_promise_that_cannot_be_kept_in_order_is_refused_by_its_field(changed: dict[str, object], field: str) -> None:
    assert promise() == shipped_policy().replies[0].model_copy(update={"source": ""})
    with pytest.raises(ValidationError, match=field):
        promise(**changed)


def test_a_topic_is_found_by_the_words_of_the_region_in_their_order() -> None:
    words = {"fault": ["停电"], "bill": ["电费", "Bill"]}
    assert topic_of("停电了，电费也不对", words=words) == "fault"
    assert topic_of("about the bill", words=words) == "bill"
    assert topic_of("你好", words=words) is None
