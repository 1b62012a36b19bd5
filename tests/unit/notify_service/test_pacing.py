"""What is claimed ahead of its tokens leaves at the limit's pace, also after the loop was held up."""

from datetime import timedelta
from typing import Any, cast
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from services.notify.adapters.port import Channel, Outgoing
from services.notify.delivery.claims import Claim, Claimed
from services.notify.delivery.pacing import CATCH_UP_S, Line

BURST, RATE = 20.0, 200.0
PROVIDER = cast(Channel, object())


def claim_of(tokens: float, count: int) -> Claim:
    """As a bucket with so many tokens gives them out: the first at once, the others each at its time."""
    messages = [
        Claimed(number=1, template_id="T", message=message(n), after_s=max((n + 1 - tokens) / RATE, 0.0))
        for n in range(count)
    ]
    return Claim(provider=PROVIDER, messages=messages, took=count, per_second=RATE)


def message(number: int) -> Outgoing:
    some: Any = dict.fromkeys(("message_id", "address", "template_id", "title", "body", "event_class"), "")
    return Outgoing(
        delivery_id=UUID(int=number), fields={}, created_at=cast(Any, None), sent_at=cast(Any, None), **some
    )


def test_the_burst_leaves_at_once_and_the_rest_each_at_its_time() -> None:
    line = Line()
    line.put(claim_of(BURST, 60), now=100.0)
    at_once = 0
    while line.take(now=100.0) is not None:
        at_once += 1
    assert at_once == BURST
    assert line.opens_at() == 100.0 + 1 / RATE
    assert abs(line.lasts(now=100.0) - 40 / RATE) < 1e-9


def test_without_a_limit_nothing_waits() -> None:
    line = Line()
    line.put(Claim(provider=PROVIDER, messages=[Claimed(number=1, template_id="T", message=message(1))]), now=5.0)
    assert line.lasts(now=5.0) == 0.0 and line.take(now=5.0) is not None and line.take(now=5.0) is None


@given(st.lists(st.floats(min_value=0.001, max_value=0.4), min_size=1, max_size=60))
def test_in_no_window_leave_more_than_burst_and_rate_allow_however_the_loop_is_held_up(pauses: list[float]) -> None:
    """Tokens come from one bucket; a claim is made whenever less than a quarter of a second is left in the line."""
    line, now, left = Line(), 0.0, []
    tokens, refilled_at = BURST, 0.0
    for pause in pauses:
        tokens, refilled_at = min(BURST, tokens + (now - refilled_at) * RATE), now
        if line.lasts(now=now) <= 0.25:
            count = max(int(tokens + 0.5 * RATE), 0)
            line.put(claim_of(tokens, count), now=now)
            tokens -= count
        while line.take(now=now) is not None:
            left.append(now)
        now += pause
    level, last = 0.0, 0.0
    for at in left:
        level = max(level - (at - last) * RATE, 0.0) + 1
        last = at
        assert level <= BURST + CATCH_UP_S * RATE + 1 + 1e-6


def test_a_line_that_was_never_held_up_loses_no_token() -> None:
    line, sent, tokens = Line(), 0, BURST
    step = timedelta(milliseconds=5).total_seconds()
    for tick in range(2_000):
        now = tick * step
        tokens = min(BURST, tokens + step * RATE) if tick else tokens
        if line.lasts(now=now) <= 0.25:
            count = max(int(tokens + 0.5 * RATE), 0)
            line.put(claim_of(tokens, count), now=now)
            tokens -= count
        while line.take(now=now + 1e-9) is not None:
            sent += 1
    assert sent >= 0.99 * (BURST + RATE * 2_000 * step)
