"""Delivery on a real database under a clock that the test moves, over providers that do as the test says."""

from collections.abc import Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from services.contracts.marketing import Engagement, PersonChanged
from services.kernel.clock import ManualClock, SystemClock
from services.kernel.work import EVERYTHING, Actor, Cause, UnitOfWork
from services.notify.delivery.fanout import Told, store, withdraw
from services.notify.delivery.limits import Limits, shipped_limits
from services.notify.delivery.sender import Sender
from services.notify.policy.document import Rule
from services.notify.policy.planning import Place, Recipient
from tests.integration.notify.house import NotifyHouse
from tests.integration.notify.provider import Provider

START = datetime(2026, 7, 1, 4, 0, tzinfo=UTC)
"""Noon in Shanghai."""


@dataclass(kw_only=True)
class Sending:
    house: NotifyHouse
    clock: ManualClock
    providers: dict[str, list[Provider]]
    sender: Sender

    def provider(self, channel: str, number: int = 0) -> Provider:
        return self.providers[channel][number]

    def replica(self, *, limits: Limits | None = None) -> Sender:
        return Sender(database=self.house.database, channels=self.providers, limits=limits)

    async def settle(self, *, turns: int = 10) -> int:
        """Send until nothing is due at this instant; how many messages went out."""
        went = 0
        for _ in range(turns):
            await self.sender.keep_up()
            took = await self.sender.turn()
            await self.sender.drain()
            went += took
            if not took and not await self._due():
                break
        return went

    async def advance(self, *, to: timedelta | None = None, by: timedelta | None = None) -> None:
        """Move the clock, then let everything happen that is due then."""
        target = START + to if to is not None else self.clock.now() + (by or timedelta(0))
        self.clock.advance(target - self.clock.now())
        await self.settle()

    async def _due(self) -> bool:
        rows = await self.house.rows(
            "SELECT 1 FROM notify.delivery WHERE state = 'pending' AND next_attempt_at <= $1 LIMIT 1", self.clock.now()
        )
        return bool(rows)

    @asynccontextmanager
    async def work(self, name: str) -> Any:
        cause, actor = Cause(id=name, source="tests", type="tests"), Actor(person_id="system:tests", role="system")
        async with self.house.database.work(role="worker", cause=cause, actor=actor, scope=EVERYTHING) as work:
            yield work

    async def tell(
        self, people: Iterable[str], *, rule: Rule, event_class: str = "fault-outage", subject: str = "O-1",
        channel: str | None = None, facts: dict[str, Any] | None = None,
    ) -> None:  # fmt: skip
        """A happening to these people over `rule`'s ladder."""
        async with self.work(f"tell|{event_class}|{subject}") as work:
            await tell_in(
                work, people, rule=rule, event_class=event_class, subject=subject, channel=channel, facts=facts
            )

    async def states(self, where: str = "true") -> list[tuple[Any, ...]]:
        sql = f"SELECT person_id, channel, state, reason FROM notify.delivery WHERE {where} ORDER BY 1, seq"
        return [tuple(r) for r in await self.house.rows(sql)]


async def tell_in(
    work: UnitOfWork, people: Iterable[str], *, rule: Rule, event_class: str, subject: str, channel: str | None,
    facts: dict[str, Any] | None = None,
) -> None:  # fmt: skip
    first = channel or rule.channels[0]
    ladder = rule.channels[rule.channels.index(first) :]
    recipients = [
        Recipient(
            person_id=p, customer_id="C-1", channels=ladder, places=(Place(customer_id="C-1", account_id="A-1"),)
        )
        for p in people
    ]  # fmt: skip
    told = Told(
        name=f"{event_class}|{subject}", event_class=event_class, subject_id=subject, event_at=work.now,
        facts=facts or FACTS,
    )  # fmt: skip
    await withdraw(work, rule=rule, names={told.name: subject})
    await store(work, rule=rule, told=told, recipients=recipients)


FACTS = {
    "at": START.isoformat(), "until": START.isoformat(), "finding": "变压器油位低", "grade": "serious",
    "month": "2026-06", "score": "81.2", "band": "B", "reason": "检修",
}  # fmt: skip


def rule(*channels: str, priority: int = 0, **more: Any) -> Rule:
    given = {"customer_roles": ["customer-contact"], "channels": channels, "priority": priority,
             "give_up_minutes": 120, "mandatory": priority < 2, **more}  # fmt: skip
    if given.get("told_of"):
        given["customer_roles"] = []
    return Rule.model_validate({"staff_roles": [], **given})


async def people(house: NotifyHouse, *ids: str, phone: bool = True) -> None:
    """Persons who can be reached on every channel that has an address; the archive speaks by the real clock."""
    moved, house.database.clock = house.database.clock, SystemClock()
    for number, person_id in enumerate(ids):
        event = PersonChanged(
            person_id=person_id, version=1, name="某联系人", phone=f"138{number:08d}" if phone else None,
            email=f"p{number}@example.com", openid=f"openid-{person_id}",
            engagements=(
                Engagement(
                    engagement_id=f"E-{person_id}", customer_id="C-1", role="customer-contact",
                    valid_from=START - timedelta(days=300),
                ),
            ),
        )  # fmt: skip
        assert await house.hear(event) == ["applied"]
    house.database.clock = moved


def open_sending(house: NotifyHouse, *, limits: Limits | None = None, sms: int = 1) -> Sending:
    clock = ManualClock(now=START)
    house.database.clock = clock
    providers = {
        "wechat": [Provider(name="wechat", clock=clock)],
        "sms": [Provider(name=n, clock=clock, dedupe=timedelta(0), memory=timedelta(0)) for n in
                ("aliyun", "tencent")[:sms]],
        "mail": [Provider(name="mail", clock=clock, dedupe=timedelta(0), memory=timedelta(0))],
    }  # fmt: skip
    sender = Sender(database=house.database, channels=providers, limits=shipped_limits() if limits is None else limits)
    return Sending(house=house, clock=clock, providers=providers, sender=sender)
