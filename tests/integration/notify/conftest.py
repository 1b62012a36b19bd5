from collections.abc import AsyncIterator, Iterator

import pytest

from deploy.local.postgres import PostgresServer
from services.notify.directory.vault import vault
from services.notify.settings import notify_settings
from tests.integration.notify.house import MASTER_KEY, NotifyHouse, open_house


@pytest.fixture(autouse=True)
def master_key(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("KEYLINE_MASTER_KEY", MASTER_KEY)
    notify_settings.cache_clear()
    vault.cache_clear()
    yield
    notify_settings.cache_clear()
    vault.cache_clear()


@pytest.fixture
async def house(postgres: PostgresServer) -> AsyncIterator[NotifyHouse]:
    async with open_house(postgres) as opened:
        yield opened
