"""Takes due messages under a lease and sends them, several at a time; replicas share the queue by SKIP LOCKED."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import and_, exists, or_, select, update

from services.kernel.errors import is_transient
from services.kernel.runtime import Runtime
from services.kernel.work import EVERYTHING, Actor, Cause, Database, UnitOfWork
from services.notify.adapters.wechat.client import Account, WechatClient
from services.notify.adapters.wechat.errors import Action, WechatError
from services.notify.adapters.wechat.messages import client_msg_id
from services.notify.adapters.wechat.tokens import InMemoryTokenStore
from services.notify.adapters.wechat.transport import Transport, TransportLimits
from services.notify.delivery import outcomes
from services.notify.delivery.outcomes import Failure, wait_before
from services.notify.delivery.wechat import TemplateSender, WechatTemplateSender
from services.notify.directory.persons import openid_of
from services.notify.settings import NotifySettings, notify_settings
from services.notify.tables import delivery
from services.notify.templates.texts import templates, wechat_fields

log = logging.getLogger(__name__)

AT_ONCE = 16
CALL_SECONDS = 8
LEASE = timedelta(seconds=20)
IDLE_SECONDS = 0.1
_PAUSES = {
    Action.HOLD_RECIPIENT: timedelta(minutes=10),
    Action.PAUSE_MINUTE: timedelta(minutes=1),
    Action.PAUSE_TO_MIDNIGHT: timedelta(hours=1),
}


@dataclass(frozen=True, kw_only=True)
class Claimed:
    delivery_id: UUID
    number: int
    openid: str | None
    template_id: str
    fields: dict[str, str]


class Sender:
    def __init__(self, *, database: Database, wechat: TemplateSender | None) -> None:
        self._database = database
        self._wechat = wechat
        self._under_way: set[asyncio.Task[None]] = set()
        self.running = True

    async def run(self) -> None:
        while self.running:
            try:
                took = await self.turn()
            except Exception as error:
                log.log(logging.WARNING if is_transient(error) else logging.ERROR, "sender", exc_info=error)
                took = 0
            if not took or len(self._under_way) >= AT_ONCE:
                await self._breathe()
        await self.drain()

    async def turn(self) -> int:
        """Claim what there is room for and start sending it; how many were claimed."""
        room = AT_ONCE - len(self._under_way)
        if room <= 0:
            return 0
        async with self._work("claim", "sender-claim") as work:
            claimed = await claim(work, limit=room)
        for item in claimed:
            task = asyncio.create_task(self._send(item))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
        return len(claimed)

    async def drain(self) -> None:
        """Wait for what is under way; a message cut off here is taken up again when its lease ends."""
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=CALL_SECONDS + 1)

    async def _breathe(self) -> None:
        if len(self._under_way) >= AT_ONCE:
            await asyncio.wait(self._under_way, return_when=asyncio.FIRST_COMPLETED, timeout=1)
        else:
            await asyncio.sleep(IDLE_SECONDS)

    async def _send(self, item: Claimed) -> None:
        try:
            await self._attempt(item)
        except Exception:
            log.exception("message stays leased and is taken up again", extra={"delivery": str(item.delivery_id)})

    async def _attempt(self, item: Claimed) -> None:
        failure: Failure | None = None
        message_id: str | None = None
        if self._wechat is None:
            failure = Failure(reason="wechat-not-configured", reason_class="configuration")
        elif item.openid is None:
            failure = Failure(reason="no-usable-openid", reason_class="recipient")
        else:
            try:
                message_id = await self._wechat.send_template(
                    openid=item.openid, template_id=item.template_id, fields=item.fields,
                    client_msg_id=client_msg_id(delivery_id=item.delivery_id),
                )  # fmt: skip
            except WechatError as error:
                failure = failure_of(error, attempts=item.number)
        async with self._work(f"{item.delivery_id}|{item.number}", "sender-outcome") as work:
            if failure is None:
                await outcomes.accepted(
                    work, delivery_id=item.delivery_id, number=item.number, message_id=message_id
                )  # fmt: skip
            else:
                await outcomes.failed(work, delivery_id=item.delivery_id, number=item.number, failure=failure)

    def _work(self, name: str, type_: str) -> Any:
        cause = Cause(id=name, source="sender", type=type_)
        actor = Actor(person_id=f"system:{self._database.service}", role="system")
        return self._database.work(role="worker", cause=cause, actor=actor, scope=EVERYTHING)


def failure_of(error: WechatError, *, attempts: int) -> Failure:
    """From the provider's error class to what happens to the row."""
    reason, reason_class = str(error)[:200], error.error_class.value
    if error.action is Action.RETRY_SAME_ID:
        return Failure(reason=reason, reason_class=reason_class, retry_in=wait_before(attempts=attempts))
    if error.action is Action.RETRY_ONCE_THEN_OPEN_CIRCUIT and attempts < 2:
        return Failure(reason=reason, reason_class=reason_class, retry_in=timedelta(seconds=30))
    if error.action in _PAUSES:
        return Failure(reason=reason, reason_class=reason_class, retry_in=_PAUSES[error.action])
    unreachable = error.action is Action.NEXT_CHANNEL
    return Failure(reason=reason, reason_class=reason_class, person_unreachable=unreachable)


async def claim(work: UnitOfWork, *, limit: int) -> list[Claimed]:
    """Due messages, urgent first, whose predecessor is out; each leased to the caller with its attempt's number."""
    d, before = delivery.c, delivery.alias("before")
    predecessor_open = exists().where(
        before.c.delivery_id == d.after_delivery_id, before.c.state.in_(("pending", "sending"))
    )
    due = (
        select(d.delivery_id)
        .where(
            or_(
                and_(d.state == "pending", d.next_attempt_at <= work.now),
                and_(d.state == "sending", d.lease_until < work.now),
            ),
            ~predecessor_open,
        )
        .order_by(d.priority, d.next_attempt_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    ids = list((await work.db.execute(due)).scalars())
    if not ids:
        return []
    take = update(delivery).where(d.delivery_id.in_(ids))
    take = take.values(state="sending", attempts=d.attempts + 1, lease_until=work.now + LEASE)
    rows = (await work.db.execute(take.returning(delivery))).all()
    return [await _claimed(work, row) for row in rows]


async def _claimed(work: UnitOfWork, row: Any) -> Claimed:
    accounts = [p.account_id for p in await outcomes.places_of(work, row.delivery_id)]
    return Claimed(
        delivery_id=row.delivery_id, number=row.attempts, openid=await openid_of(work, person_id=row.person_id),
        template_id=templates()[row.event_class].template_id,
        fields=wechat_fields(row.event_class, language=row.language, facts=row.facts, account_ids=accounts),
    )  # fmt: skip


@asynccontextmanager
async def sending(runtime: Runtime) -> AsyncIterator[None]:
    """The sender beside the service, from its start to its end."""
    async with _http_sender(notify_settings()) as wechat:
        sender = Sender(database=runtime.database, wechat=wechat)
        task = asyncio.create_task(sender.run(), name="notify-sender")
        task.add_done_callback(lambda t: _ended(runtime, sender, t))
        try:
            yield
        finally:
            sender.running = False
            await asyncio.wait([task], timeout=CALL_SECONDS + 2)
            task.cancel()


def _ended(runtime: Runtime, sender: Sender, task: asyncio.Task[None]) -> None:
    if sender.running:
        runtime.failed = f"{task.get_name()}: ended"


@asynccontextmanager
async def _http_sender(settings: NotifySettings) -> AsyncIterator[TemplateSender | None]:
    if not settings.wechat_base_url:
        log.warning("KEYLINE_WECHAT_BASE_URL is not set: messages go to the inbox")
        yield None
        return
    account = Account(app_id=settings.wechat_app_id, app_secret=settings.wechat_secret())
    limits = TransportLimits(max_connections=AT_ONCE, total_timeout_s=CALL_SECONDS / 2)
    transport = Transport(base_url=settings.wechat_base_url, limits=limits)
    async with WechatClient(account=account, tokens=InMemoryTokenStore(), transport=transport) as client:
        yield WechatTemplateSender(client=client)
