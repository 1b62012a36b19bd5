"""The channels of this installation, put together from its settings, and the sender beside the service."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime

import aiohttp

from services.kernel.clock import SystemClock
from services.kernel.runtime import Runtime
from services.kernel.work import Database
from services.notify.adapters.exchange import new_session
from services.notify.adapters.mail import Mail
from services.notify.adapters.port import Channel
from services.notify.adapters.sms.aliyun import AliyunSms
from services.notify.adapters.sms.gateway import SmsGateway
from services.notify.adapters.sms.tencent import TencentSms
from services.notify.adapters.webhook import Webhook
from services.notify.adapters.wechat.transport import TransportLimits
from services.notify.adapters.wecom import Wecom
from services.notify.channel_settings import ChannelSettings, channel_settings
from services.notify.delivery.sender import CALL_SECONDS, WIDTH, Sender
from services.notify.delivery.wechat import WechatChannel, WechatChat
from services.notify.edge.calls import EdgeCalls
from services.notify.edge.link import EdgeChannel, linked
from services.notify.edge.settings import edge_settings
from services.notify.wechat import accounts
from services.notify.wechat.desk import desk_beside

log = logging.getLogger(__name__)
_real_now = SystemClock().now
"""Providers compare signatures with their own clock: a demo's shifted hour would be refused."""


@asynccontextmanager
async def sending(runtime: Runtime) -> AsyncIterator[None]:
    """The sender beside the service, from its start to its end."""
    async with AsyncExitStack() as stack:
        sender = Sender(
            database=runtime.database, channels=await channels(stack, database=runtime.database, now=_real_now)
        )
        task = asyncio.create_task(sender.run(), name="notify-sender")
        task.add_done_callback(lambda t: _ended(runtime, sender, t))
        await stack.enter_async_context(desk_beside(runtime))
        try:
            yield
        finally:
            sender.running = False
            await asyncio.wait([task], timeout=CALL_SECONDS + 2)
            task.cancel()


def _ended(runtime: Runtime, sender: Sender, task: asyncio.Task[None]) -> None:
    if sender.running:
        runtime.failed = f"{task.get_name()}: ended"


async def channels(
    stack: AsyncExitStack, *, database: Database, now: Callable[[], datetime]
) -> dict[str, list[Channel]]:
    """Channel -> its providers in the order in which they are used. A channel without provider passes on at once."""
    session = await stack.enter_async_context(new_session(width=WIDTH, seconds=CALL_SECONDS - 2))
    given = channel_settings()
    return {
        "wechat": await _wechat(stack, database),
        "chat": await _chat(stack, database),
        "sms": list(_sms(given, session, now)),
        "mail": [_mail(given)] if given.smtp_host else [],
        "wecom": [_wecom(given, session, now)] if given.wecom_url else [],
        "webhook": [Webhook(now=now, loopback=given.webhook_loopback)],
    }


def _sms(given: ChannelSettings, session: aiohttp.ClientSession, now: Callable[[], datetime]) -> Iterator[Channel]:
    if given.sms_aliyun_url:
        yield AliyunSms(
            session=session, base_url=given.sms_aliyun_url, key_id=given.sms_aliyun_key_id,
            secret=given.secret("sms_aliyun_secret"), sign_name=given.sms_sign_name, codes=given.sms_template_codes,
            now=now,
        )  # fmt: skip
    if given.sms_tencent_url:
        yield TencentSms(
            session=session, base_url=given.sms_tencent_url, key_id=given.sms_tencent_key_id,
            secret=given.secret("sms_tencent_secret"), app_id=given.sms_tencent_app_id,
            region=given.sms_tencent_region, sign_name=given.sms_sign_name, codes=given.sms_template_codes, now=now,
        )  # fmt: skip
    if given.sms_gateway_url:
        yield SmsGateway(
            session=session, url=given.sms_gateway_url, key_id=given.sms_gateway_key_id,
            secret=given.secret("sms_gateway_secret"), now=now,
        )  # fmt: skip


def _mail(given: ChannelSettings) -> Channel:
    password = given.secret("smtp_password") if given.smtp_user else None
    return Mail(
        host=given.smtp_host, port=given.smtp_port, user=given.smtp_user, password=password, tls=given.smtp_tls,
        sender=given.mail_from,
    )  # fmt: skip


def _wecom(given: ChannelSettings, session: aiohttp.ClientSession, now: Callable[[], datetime]) -> Channel:
    return Wecom(
        session=session, base_url=given.wecom_url, corp_id=given.wecom_corp_id, agent_id=given.wecom_agent_id,
        secret=given.secret("wecom_secret"), now=now,
    )  # fmt: skip


async def _wechat(stack: AsyncExitStack, database: Database) -> list[Channel]:
    if edge_settings().url:
        calls = await stack.enter_async_context(EdgeCalls(settings=edge_settings()))
        await stack.enter_async_context(linked(database=database, calls=calls, inner_url=edge_settings().inner_url))
        return [EdgeChannel(calls=calls)]
    if not accounts.configured():
        log.warning("KEYLINE_WECHAT_BASE_URL is not set: messages go to the next channel")
        return []
    limits = TransportLimits(max_connections=WIDTH, total_timeout_s=CALL_SECONDS / 2)
    client = accounts.client_of(database, role="worker", limits=limits)
    return [WechatChannel(client=await stack.enter_async_context(client))]


async def _chat(stack: AsyncExitStack, database: Database) -> list[Channel]:
    """Behind the outer zone there is none: answers go by the next channel."""
    if edge_settings().url or not accounts.configured():
        return []
    limits = TransportLimits(max_connections=WIDTH, total_timeout_s=CALL_SECONDS / 2)
    client = accounts.client_of(database, role="worker", limits=limits)
    return [WechatChat(client=await stack.enter_async_context(client))]
