"""A service is whole with kernel and contracts alone; all four also run in one process under the same addresses."""

import asyncio
import base64
import json
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from pathlib import Path
from uuid import uuid4

import aiohttp
import asyncpg
import pytest
from aiokafka.admin import AIOKafkaAdminClient

from deploy.local.processes import Child, Command, free_port
from services.kernel.broker import TopicSpec, ensure_topics
from services.kernel.manifest import Service
from services.kernel.migrate import ensure_roles
from services.kernel.settings import KernelSettings
from tests.conftest import PROJECT, Stack

SERVICES = ("inspection", "outage", "portrait", "notify")
PASSWORD = "only-for-tests"


def manifest(name: str) -> Service:
    found = import_module(f"services.{name}.manifest").SERVICE
    assert isinstance(found, Service)
    return found


async def _database(stack: Stack, name: str, services: tuple[str, ...]) -> None:
    admin = await asyncpg.connect(stack.postgres.superuser_dsn)
    await admin.execute(f"CREATE DATABASE {name}")
    await admin.close()
    dsn = f"{stack.postgres.superuser_dsn.rsplit('/', 1)[0]}/{name}"
    for service in services:
        passwords = {f"{service}_{role}": PASSWORD for role in ("api", "worker", "migrator")}
        await ensure_roles(admin_dsn=dsn, service=service, passwords=passwords)


@asynccontextmanager
async def started(stack: Stack, *, module: str, services: tuple[str, ...], cwd: Path, logs: Path) -> AsyncIterator[str]:
    """The address of `python -m module` on an empty database, once it is ready."""
    name = f"i{uuid4().hex[:10]}"
    await _database(stack, name, services)
    given = {
        "ENVIRONMENT": "test", "DATABASE_HOST": stack.postgres.host, "DATABASE_PORT": stack.postgres.port,
        "DATABASE_NAME": name, "DATABASE_PASSWORD": PASSWORD, "TOPIC_PREFIX": f"{name}-",
        "KAFKA_BOOTSTRAP_SERVERS": stack.broker.bootstrap_servers, "BROKER_KIND": stack.broker.kind,
        "OIDC_ISSUER": "http://issuer.invalid", "OIDC_JWKS_URL": "http://127.0.0.1:9/jwks.json",
        "WECHAT_BASE_URL": "http://127.0.0.1:9", "WECHAT_APP_ID": "wx-test", "WECHAT_APP_SECRET": "secret",
        "WECHAT_CALLBACK_TOKEN": "token", "MASTER_KEY": base64.b64encode(bytes(32)).decode(),
    }  # fmt: skip
    environment = {f"KEYLINE_{key}": str(value) for key, value in given.items()}
    settings = KernelSettings(
        environment="test", kafka_bootstrap_servers=stack.broker.bootstrap_servers, broker_kind=stack.broker.kind,
        topic_prefix=f"{name}-",
    )  # fmt: skip
    made = {topic.name for s in services for topic in manifest(s).topics}
    heard = {t for s in services for t in (*manifest(s).single_topics, *(b.topic for b in manifest(s).bulk))}
    await ensure_topics([TopicSpec(name=topic, partitions=1) for topic in sorted(heard - made)], settings=settings)
    port = free_port()
    command = [sys.executable, "-m", module]
    log_path = logs / "migrate.log"
    migrate = Command(name="migrate", argv=[*command, "migrate"], log_path=log_path, env=environment, cwd=cwd)
    migrating = Child(migrate)
    migrating.start()
    migrating.wait_until(ready=lambda: not migrating.alive, timeout_s=90)
    assert migrating.returncode == 0, migrating.tail()
    serving = Child(
        Command(
            name=module, argv=[*command, "serve", "--port", str(port)], log_path=logs / "serve.log", env=environment,
            cwd=cwd, ready_url=f"http://127.0.0.1:{port}/readyz", ready_timeout_s=90,
        )
    )  # fmt: skip
    serving.start()
    try:
        await asyncio.to_thread(serving.wait_ready)
        assert await _partitions(settings) == {
            **dict.fromkeys(heard - made, 1),
            **{topic.name: topic.partitions for s in services for topic in manifest(s).topics},
        }, "the broker has other topics than the manifests say"
        yield f"http://127.0.0.1:{port}"
    finally:
        serving.kill()


async def _partitions(settings: KernelSettings) -> dict[str, int]:
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap_servers)
    await admin.start()
    try:
        names = [name for name in await admin.list_topics() if name.startswith(settings.topic_prefix)]
        found = await admin.describe_topics(names)
    finally:
        await admin.close()
    return {t["topic"].removeprefix(settings.topic_prefix): len(t["partitions"]) for t in found}


async def _paths(url: str) -> set[str]:
    async with aiohttp.ClientSession() as session, session.get(f"{url}/openapi.json") as answer:
        return set((await answer.json())["paths"])


def _published(name: str) -> set[str]:
    return set(json.loads((PROJECT / "docs" / "reference" / "openapi" / f"{name}.json").read_text())["paths"])


@pytest.mark.parametrize("name", SERVICES)
async def test_a_service_starts_from_a_folder_that_holds_nothing_but_itself(
    stack: Stack, tmp_path: Path, name: str
) -> None:
    alone = tmp_path / "alone"
    (alone / "services").mkdir(parents=True)
    (alone / "services" / "__init__.py").touch()
    for part in ("kernel", "contracts", name):
        shutil.copytree(PROJECT / "services" / part, alone / "services" / part)
    async with started(stack, module=f"services.{name}", services=(name,), cwd=alone, logs=tmp_path) as url:
        assert await _paths(url) == _published(name)


async def test_all_four_run_in_one_process_under_the_same_addresses(stack: Stack, tmp_path: Path) -> None:
    async with started(stack, module="services.everything", services=SERVICES, cwd=PROJECT, logs=tmp_path) as url:
        assert await _paths(url) == set().union(*map(_published, SERVICES))
        async with aiohttp.ClientSession() as session, session.get(f"{url}/metrics") as answer:
            assert "keyline_" in await answer.text()
