"""An empty schema and a served API per test."""

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import aiohttp
import asyncpg
import pytest
from joserfc.jwk import ECKey

from deploy.local.postgres import PostgresServer
from deploy.local.processes import free_port
from services.kernel.app import build_app
from services.kernel.auth.dev_issuer import build_issuer
from services.kernel.consumer import Applier
from services.kernel.settings import KernelSettings
from services.kernel.work import Database
from services.outage.manifest import SERVICE
from tests.integration.outage.house import NOW, Edge, House, serving
from tests.migrated import PASSWORD, dsn_of, empty_database


@pytest.fixture
async def house(postgres: PostgresServer) -> AsyncIterator[House]:
    name = await empty_database(postgres, SERVICE)
    settings = KernelSettings(
        environment="test",
        database_port=postgres.port,
        database_name=name,
        database_password=PASSWORD,
        as_of=NOW,
        as_of_started_at=time.time(),
    )
    database = Database(service="outage", metadata=SERVICE.metadata, settings=settings)
    admin = await asyncpg.connect(dsn_of(postgres, name))
    yield House(admin=admin, settings=settings, database=database, applier=Applier(service=SERVICE, database=database))
    await database.close()
    await admin.close()


@pytest.fixture
async def edge(house: House) -> AsyncIterator[Edge]:
    key = ECKey.generate_key("P-256", {"kid": "test", "use": "sig"}, private=True)
    issuer_port, port = free_port(), free_port()
    issuer = f"http://127.0.0.1:{issuer_port}"
    settings = house.settings.model_copy(update={"oidc_issuer": issuer, "oidc_jwks_url": f"{issuer}/jwks.json"})
    issuer_app = build_issuer(key=key, issuer=issuer, audience="keyline", environment="test")
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(serving(issuer_app, issuer_port))
        await stack.enter_async_context(serving(build_app([SERVICE], settings=settings, role="api"), port))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        yield Edge(session=session, base=f"http://127.0.0.1:{port}/outage/v1", key=key, issuer=issuer)
