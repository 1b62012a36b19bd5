"""One empty, migrated database per test."""

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from deploy.local.postgres import PostgresServer
from deploy.local.processes import free_port
from services.kernel.settings import KernelSettings
from services.kernel.work import Database
from services.portrait.manifest import SERVICE
from tests.integration.portrait.house import AUDIENCE, NOW, Portrait
from tests.migrated import PASSWORD, dsn_of, empty_database


@pytest.fixture
async def portrait(postgres: PostgresServer, tmp_path: Path) -> AsyncIterator[Portrait]:
    name = await empty_database(postgres, SERVICE)
    issuer = f"http://127.0.0.1:{free_port()}"
    settings = KernelSettings(
        environment="test",
        database_host=postgres.host,
        database_port=postgres.port,
        database_name=name,
        database_password=SecretStr(PASSWORD),
        oidc_issuer=issuer,
        oidc_audience=AUDIENCE,
        oidc_jwks_url=f"{issuer}/jwks.json",
        as_of=NOW,
        as_of_started_at=time.time(),
    )
    database = Database(service="portrait", metadata=SERVICE.metadata, settings=settings)
    yield Portrait(settings=settings, dsn=dsn_of(postgres, name), database=database, folder=tmp_path)
    await database.close()
