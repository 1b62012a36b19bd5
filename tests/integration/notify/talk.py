"""Conversations from outside: the routes over HTTP, WeChat's sandbox, and a clock that the test moves."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest

from services.contracts.marketing import PersonChanged
from services.contracts.organisation import UnitChanged
from services.kernel.clock import BUSINESS_ZONE
from services.notify.delivery.sender import Sender
from services.notify.delivery.wechat import WechatChannel, WechatChat
from services.notify.directory.working_time import is_working_day
from services.notify.templates.texts import registered_templates
from services.notify.wechat import accounts
from tests.integration.notify.account import AccountHouse, open_account
from tests.integration.notify.house import NotifyHouse
from tests.integration.notify.test_delivery import person, profile
from tests.integration.notify.test_directory import run, staff

MINUTE = timedelta(minutes=1)


class MovableClock:
    """Runs at normal speed and is moved ahead by the test; what is signed by the real hour stays valid for hours."""

    def __init__(self) -> None:
        self._ahead = timedelta(0)

    def now(self) -> datetime:
        return datetime.now(UTC) + self._ahead

    def advance(self, by: timedelta) -> None:
        self._ahead += by


@dataclass(kw_only=True)
class Talk:
    account: AccountHouse
    clock: MovableClock
    sender: Sender
    said: int = 0

    @property
    def house(self) -> NotifyHouse:
        return self.account.house

    async def call(self, method: str, path: str, *, by: str, body: Any = None, status: int = 200) -> Any:
        found, answer = await self.account.call(method, path, by=by, body=body)
        assert found == status, (method, path, answer)
        return answer

    async def ask(self, said: str = "电费怎么变多了？", *, topic: str = "bill", by: str = "P-1") -> Any:
        body = {"customer_id": "C-1", "topic": topic, "text": said}
        return await self.call("POST", "/own-conversations", by=by, body=body, status=201)

    async def say(self, said: str, *, openid: str = "openid-1") -> None:
        await self.do("say", openid=openid, text=said)

    async def do(self, deed: str, *, openid: str = "openid-1", **more: str) -> None:
        """Something that a person says by WeChat; handled when this returns."""
        await self.account.sandbox.deed(openid, deed, **more)
        self.said += 1
        handled = "SELECT 1 FROM notify.wechat_push WHERE event = '' AND handled_at IS NOT NULL"
        async with asyncio.timeout(10):
            while len(await self.house.rows(handled)) < self.said:  # noqa: ASYNC110 - looks from outside
                await asyncio.sleep(0.02)

    async def advance(self, by: timedelta) -> None:
        """Both clocks, in steps small enough for what is due on the way, then let everything happen."""
        self.clock.advance(by)
        await self.account.sandbox.jump(by.total_seconds())
        await self.settle()

    async def settle(self) -> None:
        for _ in range(12):
            await run(self.house, "watch-conversations")
            await self.account.desk.turn()
            await self.sender.keep_up()
            took = await self.sender.turn()
            await self.sender.drain()
            due = await self.house.rows("SELECT 1 FROM notify.delivery WHERE state = 'pending' LIMIT 1")
            if not took and not due:
                return
        raise AssertionError("messages are still pending")

    async def shown(self, openid: str) -> list[Any]:
        """What the phone shows, in order: words of a chat, a menu's question, or a template's id."""
        found = []
        for message in await self.account.sandbox.seen(openid):
            if message["kind"] == "custom":
                content = message["content"]
                found.append(content.get("content") or content["head_content"])
            else:
                found.append(message["template_id"])
        return found

    async def told(self, event_class: str) -> list[tuple[Any, ...]]:
        """Who was told by which channel, in order, with the state and its reason; a receipt may be here already."""
        sql = (
            "SELECT person_id, channel, CASE state WHEN 'delivered' THEN 'accepted' ELSE state END, reason"
            " FROM notify.delivery WHERE event_class = $1 ORDER BY seq"
        )
        return [tuple(r) for r in await self.house.rows(sql, event_class)]

    async def row(self, conversation_id: str) -> Any:
        sql = "SELECT * FROM notify.conversation WHERE conversation_id = $1::uuid"
        return (await self.house.rows(sql, conversation_id))[0]

    async def emitted(self) -> list[tuple[str, Any]]:
        """What was said of conversations, in order: the end of the type, and what each of them adds."""
        sql = (
            "SELECT type, convert_from(payload, 'UTF8')::jsonb AS body FROM notify.outbox"
            " WHERE topic = 'notify-conversations' ORDER BY seq"
        )
        found = []
        for row in await self.house.rows(sql):
            body = json.loads(row["body"])
            found.append((row["type"].split(".")[2], body.get("level", body.get("within_promise"))))
        return found


def at_nine(now: datetime) -> datetime:
    """Nine o'clock of the next working day."""
    day = now.astimezone(BUSINESS_ZONE).date()
    while True:
        day += timedelta(days=1)
        if is_working_day(day):
            return datetime.combine(day, time(9), tzinfo=BUSINESS_ZONE)


def employee(person_id: str, name: str, *, openid: str | None = None) -> PersonChanged:
    version = 1 if openid is None else 2
    return PersonChanged(person_id=person_id, version=version, name=name, openid=openid, engagements=())


@asynccontextmanager
async def open_talk(house: NotifyHouse, folder: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Talk]:
    clock = MovableClock()
    house.settings.__dict__["clock"] = clock
    house.database.clock = clock
    await house.hear(
        UnitChanged(unit_id="east", version=1, name="东区"),
        profile("C-1", "A-1", area="east"), profile("C-2", "B-1", area="east"),
        person("P-1", "C-1", openid="openid-1"), person("P-2", "C-2"), person("P-3", "C-1", "C-2", openid="openid-3"),
        employee("M-1", "李经理"), employee("M-B", "王副手"), employee("M-2", "赵经理"),
        staff("account-manager", "M-1", "C-1"), staff("account-manager", "M-2", "C-2"),
        staff("team-leader", "LEADER"), staff("service-desk", "DESK"),
    )  # fmt: skip
    async with AsyncExitStack() as stack:
        account = await stack.enter_async_context(open_account(house, folder, monkeypatch))
        await account.sandbox.call("POST", "/sandbox/templates", {"templates": registered_templates()})
        for openid in ("openid-1", "openid-3"):
            await account.sandbox.follow(openid)
        client = await stack.enter_async_context(accounts.client_of(house.database, role="worker"))
        sender = Sender(
            database=house.database,
            channels={"chat": [WechatChat(client=client)], "wechat": [WechatChannel(client=client)]},
        )
        talk = Talk(account=account, clock=clock, sender=sender)
        ahead = at_nine(clock.now()) - clock.now()
        clock.advance(ahead)
        await account.sandbox.jump(ahead.total_seconds())
        deputies = {"person_ids": ["M-B"]}
        await talk.call("PUT", "/directory/posts/post-M-1/deputies", by="LEADER", body=deputies, status=204)
        yield talk
