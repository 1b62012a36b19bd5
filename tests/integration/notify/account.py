"""notify with a real account of the sandbox: its routes over HTTP, its desk turned by hand."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest

from deploy.wechat_sandbox.settings import DEFAULT_AES_KEY, DEFAULT_APP_ID, DEFAULT_APP_SECRET, DEFAULT_TOKEN
from services.notify.channel_settings import channel_settings
from services.notify.settings import notify_settings
from services.notify.wechat import accounts
from services.notify.wechat.desk import Desk
from tests.integration.notify.house import Caller, NotifyHouse
from tests.integration.wechat.house import LAST_AES_KEY, TEMPLATE, Sandbox, sandbox_process


@dataclass(kw_only=True)
class AccountHouse:
    house: NotifyHouse
    sandbox: Sandbox
    call: Caller
    desk: Desk

    async def pushed(self, count: int) -> list[Any]:
        """The handled pushes, once there are so many."""
        sql = "SELECT * FROM notify.wechat_push WHERE handled_at IS NOT NULL ORDER BY received_at"
        async with asyncio.timeout(10):
            while len(rows := await self.house.rows(sql)) < count:  # noqa: ASYNC110 - looks from outside
                await asyncio.sleep(0.02)
        return rows

    async def get(self, url: str, *, browser: aiohttp.ClientSession) -> tuple[int, str, str]:
        """Status, where it sends the browser, and the text."""
        async with browser.get(url, allow_redirects=False) as answer:
            return answer.status, answer.headers.get("Location", ""), await answer.text()

    async def invitation(self, person_id: str, *, by: str = "M-1") -> str:
        status, given = await self.call("POST", f"/persons/{person_id}/wechat/invitations", by=by)
        assert status == 201, given
        return str(given["link"])

    async def login(self, link: str, openid: str, *, browser: aiohttp.ClientSession, snapshot: bool = False) -> str:
        """The address to which WeChat sends the browser back."""
        status, authorize, _ = await self.get(link, browser=browser)
        assert status == 303, (status, link)
        assert urlsplit(authorize).fragment == "wechat_redirect"
        asked = authorize.split("#", 1)[0] + f"&openid={openid}{'&snapshot=1' if snapshot else ''}"
        status, back, _ = await self.get(asked, browser=browser)
        assert status == 302
        return back


def new_browser() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))


@asynccontextmanager
async def open_account(
    house: NotifyHouse, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[AccountHouse]:
    process = sandbox_process(folder=folder)
    given = {
        "WECHAT_BASE_URL": process.url, "WECHAT_LOGIN_URL": process.url, "WECHAT_APP_ID": DEFAULT_APP_ID,
        "WECHAT_APP_SECRET": DEFAULT_APP_SECRET, "WECHAT_CALLBACK_TOKEN": DEFAULT_TOKEN,
        "WECHAT_ENCODING_AES_KEY": DEFAULT_AES_KEY, "WECHAT_LAST_ENCODING_AES_KEY": LAST_AES_KEY,
    }  # fmt: skip
    for name, value in given.items():
        monkeypatch.setenv(f"KEYLINE_{name}", value)
    process.child.start()
    try:
        process.child.wait_ready()
        async with house.served() as call, aiohttp.ClientSession() as session:
            monkeypatch.setenv("KEYLINE_PUBLIC_URL", call.url)
            notify_settings.cache_clear()
            channel_settings.cache_clear()
            sandbox = Sandbox(process, session)
            await sandbox.call("POST", "/sandbox/templates", {"templates": [TEMPLATE]})
            await sandbox.behave(callback_url=f"{call.url}/notify/v1/wechat/callback", push_retry_gap_s=0.05)
            async with accounts.client_of(house.database, role="worker") as client:
                desk = Desk(database=house.database, client=client)
                yield AccountHouse(house=house, sandbox=sandbox, call=call, desk=desk)
    finally:
        process.child.stop()
        notify_settings.cache_clear()
        channel_settings.cache_clear()
