from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from deploy.local.postgres import PostgresServer
from services.notify.channel_settings import channel_settings
from services.notify.delivery.links import link_key
from services.notify.directory.vault import vault
from services.notify.settings import notify_settings
from tests.integration.notify.house import CALLBACK_TOKEN, MASTER_KEY, NotifyHouse, open_house

CACHED = (notify_settings, vault, channel_settings, link_key)


@pytest.fixture(autouse=True)
def master_key(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("KEYLINE_MASTER_KEY", MASTER_KEY)
    monkeypatch.setenv("KEYLINE_WECHAT_CALLBACK_TOKEN", CALLBACK_TOKEN)
    monkeypatch.setenv("KEYLINE_WECHAT_PLAIN_CALLBACKS", "true")
    monkeypatch.setenv("KEYLINE_SMS_CALLBACK_TOKEN", "sms-token")
    for cached in CACHED:
        cached.cache_clear()
    yield
    for cached in CACHED:
        cached.cache_clear()


@pytest.fixture
async def house(postgres: PostgresServer, tmp_path: Path) -> AsyncIterator[NotifyHouse]:
    async with open_house(postgres, tmp_path) as opened:
        yield opened
