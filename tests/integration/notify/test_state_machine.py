"""Delivery, fallback and acknowledgement in any order that hypothesis can think of, under a moved clock.

Invariants: a message id is shown once by a provider that remembers it, and handed once to one that does not; nothing is
pushed after its acknowledgement; in the end every (event, recipient) has ended, and nobody was told on no channel.
"""

import asyncio
from collections import Counter
from collections.abc import Coroutine, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from deploy.local.postgres import PostgresServer
from services.notify.adapters.port import ChannelError, Outgoing
from services.notify.channel_settings import channel_settings
from services.notify.delivery import claims, outcomes
from services.notify.delivery.limits import shipped_limits
from services.notify.delivery.rows import locked
from services.notify.rules.retries import FailureKind
from tests.integration.notify.house import NotifyHouse, open_house
from tests.integration.notify.provider import LOST
from tests.integration.notify.sending import START, Sending, open_sending, people
from tests.integration.notify.sending import rule as class_rule

PEOPLE = ("P-1", "P-2", "P-3")
MOODS: dict[str, Any] = {
    "works": None, "loses answers": LOST,
    **{kind.value: ChannelError(kind.value, kind=kind) for kind in
       (FailureKind.TRANSIENT, FailureKind.FREQUENCY, FailureKind.WINDOW, FailureKind.MINUTE_QUOTA)},
}  # fmt: skip
LOOP: asyncio.AbstractEventLoop
HOUSE: NotifyHouse


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return LOOP.run_until_complete(work)


class Delivery(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        tables = ("delivery", "delivery_account", "attempt", "circuit", "token_bucket", "early_receipt")
        run(HOUSE.rows(f"TRUNCATE {', '.join(f'notify.{t}' for t in tables)}"))
        self.sending: Sending = open_sending(HOUSE)
        self.happenings = 0
        self.acknowledged: dict[tuple[str, str], datetime] = {}

    @rule(who=st.sets(st.sampled_from(PEOPLE), min_size=1), priority=st.integers(0, 3), ack=st.booleans())
    def tell(self, who: set[str], priority: int, ack: bool) -> None:
        self.happenings += 1
        chosen = class_rule("wechat", "sms", "inbox", priority=priority, ack=ack, fallback_seconds=60)
        run(self.sending.tell(sorted(who), rule=chosen, subject=f"S-{self.happenings}"))

    @rule(mood=st.sampled_from(sorted(MOODS)), channel=st.sampled_from(("wechat", "sms")))
    def provider_becomes(self, mood: str, channel: str) -> None:
        self.sending.provider(channel).script = lambda _: MOODS[mood]

    @rule(seconds=st.sampled_from((0, 1, 5, 29, 31, 59, 60, 61, 300, 481, 601)))
    def time_passes(self, seconds: int) -> None:
        run(self.sending.advance(by=timedelta(seconds=seconds)))

    @rule(channel=st.sampled_from(("wechat", "sms")))
    def a_sender_dies_after_its_claim(self, channel: str) -> None:
        async def die() -> None:
            async with self.sending.work(f"dying|{self.sending.clock.now()}|{channel}") as work:
                await claims.claim(
                    work, channel=channel, providers=self.sending.providers[channel], room=5, limits=shipped_limits()
                )

        run(die())

    @rule(number=st.integers(0, 20), good=st.booleans())
    def a_receipt_comes(self, number: int, good: bool) -> None:
        if message := self._sent(number):
            run(self._receipt(message, good))

    @rule(number=st.integers(0, 20))
    def somebody_taps(self, number: int) -> None:
        if message := self._sent(number):
            run(self._tap(message))

    def _sent(self, number: int) -> Outgoing | None:
        shown = [m for c in ("wechat", "sms") for _, m in self.sending.provider(c).shown]
        return shown[number % len(shown)] if shown else None

    async def _receipt(self, message: Outgoing, good: bool) -> None:
        async with self.sending.work(f"receipt|{message.message_id}|{self.sending.clock.now()}") as work:
            await outcomes.receipt_of(work, delivery_id=message.delivery_id, delivered=good, reason="failed: system")

    async def _tap(self, message: Outgoing) -> None:
        async with self.sending.work(f"tap|{message.message_id}|{self.sending.clock.now()}") as work:
            row = await locked(work, message.delivery_id)
            assert row is not None
            await outcomes.acknowledged(work, row=row)
        self.acknowledged.setdefault((row["happening"], row["person_id"]), self.sending.clock.now())

    @invariant()
    def no_doubles(self) -> None:
        for name in ("wechat", "sms"):
            provider = self.sending.provider(name)
            shown = Counter(m.message_id for _, m in provider.shown)
            assert not [i for i, n in shown.items() if n > 1], f"{name} showed a message twice"

    @invariant()
    def nothing_is_pushed_after_its_acknowledgement(self) -> None:
        if self.acknowledged:
            run(self._check_acknowledged())

    async def _check_acknowledged(self) -> None:
        rows = await HOUSE.rows("SELECT delivery_id, happening, person_id FROM notify.delivery")
        whose = {r["delivery_id"]: (r["happening"], r["person_id"]) for r in rows}
        for name in ("wechat", "sms"):
            for at, message in self.sending.provider(name).calls:
                tapped = self.acknowledged.get(whose[message.delivery_id])
                assert tapped is None or at <= tapped, f"{name} was called after the acknowledgement"

    def teardown(self) -> None:
        for name in ("wechat", "sms"):
            self.sending.provider(name).script = None
        for _ in range(30):
            run(self.sending.advance(by=timedelta(minutes=10)))
        self.no_doubles()
        run(self._all_have_ended())

    async def _all_have_ended(self) -> None:
        ends = ("delivered", "acknowledged", "failed", "suppressed")
        still = await HOUSE.rows("SELECT channel, state, reason FROM notify.delivery WHERE state <> ALL($1)", ends)
        assert still == [], "somebody's message has not ended"
        untold = await HOUSE.rows(
            "SELECT happening, person_id FROM notify.delivery GROUP BY 1, 2"
            " HAVING count(*) FILTER (WHERE state IN ('delivered', 'acknowledged')) = 0"
        )
        assert untold == [], "somebody was told on no channel"


@pytest.fixture
def shared_house(postgres: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """One database for all examples, on a loop of its own: the machine's rules are plain functions."""
    global LOOP, HOUSE
    monkeypatch.setenv("KEYLINE_SMS_GATEWAY_URL", "http://127.0.0.1:1")
    channel_settings.cache_clear()
    LOOP = asyncio.new_event_loop()
    opened = open_house(postgres, tmp_path)
    HOUSE = run(opened.__aenter__())
    run(people(HOUSE, *PEOPLE))
    yield
    run(opened.__aexit__(None, None, None))
    LOOP.close()


@pytest.mark.parametrize("examples", [12, pytest.param(150, marks=[pytest.mark.long, pytest.mark.timeout(3600)])])
def test_in_any_order_of_events_every_message_ends_once(shared_house: None, examples: int) -> None:
    assert START.tzinfo is not None
    chosen = settings(
        max_examples=examples, stateful_step_count=15, deadline=None, suppress_health_check=list(HealthCheck)
    )
    run_state_machine_as_test(Delivery, settings=chosen)
