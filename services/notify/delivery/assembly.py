"""The channels of this installation, put together from its settings, and the sender beside the service."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from services.kernel.runtime import Runtime
from services.notify.adapters.port import Channel
from services.notify.adapters.wechat.client import Account, WechatClient
from services.notify.adapters.wechat.tokens import InMemoryTokenStore
from services.notify.adapters.wechat.transport import Transport, TransportLimits
from services.notify.delivery.sender import CALL_SECONDS, WIDTH, Sender
from services.notify.delivery.wechat import WechatChannel
from services.notify.settings import notify_settings

log = logging.getLogger(__name__)


@asynccontextmanager
async def sending(runtime: Runtime) -> AsyncIterator[None]:
    """The sender beside the service, from its start to its end."""
    async with AsyncExitStack() as stack:
        sender = Sender(database=runtime.database, channels=await channels(stack))
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


async def channels(stack: AsyncExitStack) -> dict[str, list[Channel]]:
    """Channel -> its providers in the order in which they are used. A channel without provider passes on at once."""
    return {"wechat": await _wechat(stack), "sms": [], "mail": [], "wecom": []}


async def _wechat(stack: AsyncExitStack) -> list[Channel]:
    settings = notify_settings()
    if not settings.wechat_base_url:
        log.warning("KEYLINE_WECHAT_BASE_URL is not set: messages go to the next channel")
        return []
    account = Account(app_id=settings.wechat_app_id, app_secret=settings.wechat_secret())
    limits = TransportLimits(max_connections=WIDTH, total_timeout_s=CALL_SECONDS / 2)
    transport = Transport(base_url=settings.wechat_base_url, limits=limits)
    client = WechatClient(account=account, tokens=InMemoryTokenStore(), transport=transport)
    return [WechatChannel(client=await stack.enter_async_context(client))]
