"""What the account does by itself: pushes left over, answers of staff, pictures to fetch. One loop in each replica."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from services.kernel.errors import is_transient
from services.kernel.runtime import Runtime
from services.kernel.work import EVERYTHING, Actor, Cause, Database, UnitOfWork
from services.notify.adapters.wechat.errors import WechatError
from services.notify.adapters.wechat.messages import custom_text
from services.notify.wechat import accounts, media, pushes, replies

log = logging.getLogger(__name__)
_PAUSE_S = 0.5


class Desk:
    def __init__(self, *, database: Database, client: accounts.AccountCalls | None) -> None:
        self._database = database
        self._client = client
        self.running = True

    async def run(self) -> None:
        while self.running:
            try:
                await self.turn()
            except Exception as error:
                log.log(logging.WARNING if is_transient(error) else logging.ERROR, "wechat desk", exc_info=error)
            await asyncio.sleep(_PAUSE_S)

    async def turn(self) -> None:
        async with self._work("open") as work:
            left_over = await pushes.open_pushes(work)
        for index in left_over:
            await pushes.handle(self._database, index)
        if self._client is not None:
            await self._send_replies(self._client)
            await self._fetch_media(self._client)

    async def _send_replies(self, client: accounts.AccountCalls) -> None:
        async with self._work("replies") as work:
            due = await replies.claim_due(work)
        for reply in due:
            error: WechatError | None = None
            try:
                await client.send_custom(message=custom_text(openid=reply.openid, text=reply.text))
            except WechatError as refused:
                error = refused
            async with self._work(f"reply|{reply.reply_id}") as work:
                await replies.record(work, reply_id=reply.reply_id, error=error)

    async def _fetch_media(self, client: accounts.AccountCalls) -> None:
        async with self._work("media") as work:
            due = await media.due(work)
        for index in due:
            async with self._work(f"media|{index.hex()}") as work:
                media_id = await media.media_id_of(work, media_index=index)
            if media_id is None:
                continue
            result = await media.fetched(client, media_id=media_id)
            async with self._work(f"media-kept|{index.hex()}") as work:
                await media.keep(work, media_index=index, result=result)

    def _work(self, what: str) -> AbstractAsyncContextManager[UnitOfWork]:
        cause = Cause(id=what, source="wechat", type="desk")
        actor = Actor(person_id="system:notify", role="system")
        return self._database.work(role="worker", cause=cause, actor=actor, scope=EVERYTHING)


@asynccontextmanager
async def desk_beside(runtime: Runtime) -> AsyncIterator[None]:
    """From the service's start to its end; without an account only pushes left over are handled."""
    if not accounts.configured():
        async with _running(runtime, Desk(database=runtime.database, client=None)):
            yield
        return
    async with (
        accounts.account_of(runtime.database, role="worker") as client,
        _running(runtime, Desk(database=runtime.database, client=client)),
    ):
        yield


@asynccontextmanager
async def _running(runtime: Runtime, desk: Desk) -> AsyncIterator[None]:
    task = asyncio.create_task(desk.run(), name="wechat-desk")
    try:
        yield
    finally:
        desk.running = False
        await asyncio.wait([task], timeout=10)
        task.cancel()
