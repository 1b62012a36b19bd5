import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from deploy.local.postgres import PostgresServer
from services.contracts.marketing import Engagement, PersonChanged
from services.notify.directory.vault import vault
from services.notify.settings import notify_settings
from tests.access.house import SERVICES, Served, Street, Town, build_town, served, walked
from tests.access.rows import MINE, MOMENT, THEIRS, fill, id_of


@pytest.fixture(scope="package", autouse=True)
def master_key() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KEYLINE_MASTER_KEY", "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=")
        notify_settings.cache_clear()
        vault.cache_clear()
        yield
    notify_settings.cache_clear()
    vault.cache_clear()


@pytest.fixture(scope="package")
def town(postgres: PostgresServer, master_key: None) -> Town:
    """All four schemas with rows of two customers in every owned table."""
    return asyncio.run(_filled(postgres))


async def _filled(postgres: PostgresServer) -> Town:
    built = await build_town(postgres)
    admin = await built.admin()
    for service in SERVICES.values():
        await fill(admin, service)
    await admin.execute("DELETE FROM notify.person")  # real ones, for their ciphertext has to open
    for customer_id in (MINE, THEIRS):
        await built.hear("notify", person(id_of("person_id", customer_id), customer_id, version=1))
    await admin.close()
    return built


def person(person_id: str, *customer_ids: str, version: int) -> PersonChanged:
    engagements = tuple(
        Engagement(
            engagement_id=f"E-{c}", customer_id=c, account_ids=(), role="customer-contact", valid_from=MOMENT
        )
        for c in customer_ids
    )  # fmt: skip
    return PersonChanged(person_id=person_id, version=version, name="张三", engagements=engagements)


@pytest.fixture(scope="module")
def services(town: Town) -> Iterator[Served]:
    with served(town) as opened:
        yield opened


@pytest.fixture
async def street(town: Town, services: Served) -> AsyncIterator[Street]:
    async with walked(town, services) as opened:
        yield opened
