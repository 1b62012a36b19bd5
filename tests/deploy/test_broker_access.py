"""The broker of docker-compose.yml by its own start script: nobody without a name, no service beyond its manifest."""

import asyncio
import os
import ssl
import sys
import uuid
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAuthorizationFailedError
from pydantic import SecretStr

from deploy import server_secrets
from deploy.local.kafka import KAFKA_FOLDER, fetch_jars, java_version
from deploy.local.postgres import PostgresServer
from deploy.local.processes import Child, Command, accepts_connections, free_port
from services.kernel.broker import Consumer, Outgoing, Producer, ensure_topics
from services.kernel.broker_access import apply_rights, rights_of
from services.kernel.broker_login import connection
from services.kernel.manifest import Service
from services.kernel.migrate import ROLES, ensure_roles, migrate
from services.kernel.settings import KernelSettings, MissingSecret
from tests.access.house import SERVICES
from tests.conftest import PROJECT
from tests.migrated import PASSWORD

pytestmark = pytest.mark.skipif(java_version() is None, reason="needs Java for Apache Kafka")
TOPICS = sorted({t.name for s in SERVICES.values() for t in s.topics})
HEARD = {name: {*s.single_topics, *(b.topic for b in s.bulk)} for name, s in SERVICES.items()}
OWN = {name: {t.name for t in s.topics} for name, s in SERVICES.items()}


@dataclass(frozen=True, kw_only=True)
class Locked:
    """The running broker and the secret files it was started with."""

    port: int
    secrets: Path

    def settings(self, principal: str, **more: object) -> KernelSettings:
        known = {
            "environment": "test", "kafka_bootstrap_servers": f"127.0.0.1:{self.port}", "kafka_security": "sasl-ssl",
            "kafka_username": principal, "kafka_ca_file": self.secrets / "kafka_ca", "secrets_dir": self.secrets,
        }  # fmt: skip
        return KernelSettings.model_validate(known | more)


def _home(folder: Path, lib: Path) -> Path:
    """What the image has below /opt/kafka, as far as the script uses it: the same classes of the same jars."""
    for script, main in (("kafka-storage.sh", "kafka.tools.StorageTool"), ("kafka-server-start.sh", "kafka.Kafka")):
        file = folder / "bin" / script
        file.parent.mkdir(parents=True, exist_ok=True)
        log = KAFKA_FOLDER / "log4j2.properties"
        java = f"java -Xmx384m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Dlog4j2.configurationFile={log}"
        file.write_text(f'#!/bin/sh\nexec {java} -cp "{lib}/*" {main} "$@"\n')
        file.chmod(0o755)
    return folder


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Locked]:
    folder, lib = tmp_path_factory.mktemp("locked"), PROJECT / "var" / "kafka" / "lib"
    fetch_jars(lib=lib)
    server_secrets.make(folder / "secrets")
    port = free_port()
    log = folder / "kafka.log"
    child = Child(
        Command(
            name="kafka", argv=["sh", str(KAFKA_FOLDER / "start.sh")], log_path=log, cwd=folder, grace_s=15,
            env={
                "KAFKA_HOME": str(_home(folder / "home", lib.absolute())), "KAFKA_SECRETS_DIR": str(folder / "secrets"),
                "KAFKA_DATA_DIR": str(folder / "data"), "KAFKA_HOST": "localhost", "KAFKA_LISTEN": "127.0.0.1",
                "KAFKA_PORT": str(port), "KAFKA_CONTROLLER_PORT": str(free_port()),
                "KAFKA_PROPERTIES": str(folder / "server.properties"),
                "CLUSTER_ID": urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("="),
            },
        )
    )  # fmt: skip
    child.start()
    try:
        ready = lambda: b"Kafka Server started" in log.read_bytes() and accepts_connections(port=port)  # noqa: E731
        child.wait_until(ready=ready, timeout_s=90)
        found = Locked(port=port, secrets=folder / "secrets")
        asyncio.run(apply_rights(list(SERVICES.values()), settings=found.settings("administrator")))
        yield found
    finally:
        child.stop()


@pytest.fixture(scope="module")
def topics(locked: Locked) -> list[str]:
    """Every service has made its own topics, signed in as itself."""

    async def make() -> list[str]:
        made = [await ensure_topics(s.topics, settings=locked.settings(name)) for name, s in SERVICES.items()]
        return [topic for names in made for topic in names]

    return asyncio.run(make())


async def _may_write(settings: KernelSettings, topic: str) -> bool:
    producer = AIOKafkaProducer(**connection(settings), request_timeout_ms=5_000)
    await producer.start()
    try:
        await asyncio.wait_for(producer.send_and_wait(topic, b"{}", key=b"k"), timeout=5)
    except TopicAuthorizationFailedError:
        return False
    finally:
        await producer.stop()
    return True


async def _may_read(settings: KernelSettings, topic: str) -> bool:
    consumer = AIOKafkaConsumer(**connection(settings), auto_offset_reset="earliest", enable_auto_commit=False)
    await consumer.start()
    try:
        if topic not in await consumer.topics():
            return False
        consumer.assign([TopicPartition(topic, 0)])
        await consumer.seek_to_beginning()
        await asyncio.wait_for(consumer.getmany(timeout_ms=500), timeout=5)
    except TopicAuthorizationFailedError:
        return False
    finally:
        await consumer.stop()
    return True


async def _may(settings: KernelSettings, topic: str) -> tuple[bool, bool]:
    """Whether it may write and read."""
    return await _may_write(settings, topic), await _may_read(settings, topic)


@pytest.mark.parametrize("name", sorted(SERVICES))
async def test_a_service_reads_and_writes_what_its_manifest_lists_and_nothing_else(
    locked: Locked, topics: list[str], name: str
) -> None:
    settings, wrong = locked.settings(name), []
    answers = await asyncio.gather(*[_may(settings, topic) for topic in TOPICS])
    for topic, may in zip(TOPICS, answers, strict=True):
        if may != (topic in OWN[name], topic in HEARD[name]):
            wrong.append(f"{topic}: writes {may[0]}, reads {may[1]}")
    print(f"{name}: {len(TOPICS)} topics, writes {len(OWN[name])}, reads {len(HEARD[name] & set(TOPICS))}")
    assert wrong == []


def test_the_topics_were_made_by_their_services(topics: list[str]) -> None:
    assert sorted(topics) == TOPICS


async def test_nobody_makes_a_topic_that_is_not_theirs(locked: Locked, topics: list[str]) -> None:
    settings = locked.settings("outage")
    assert not await _may_write(settings, "made-by-writing")
    admin = AIOKafkaAdminClient(**connection(settings))
    await admin.start()
    try:
        answer = await admin.create_topics([NewTopic("made-by-asking", num_partitions=1, replication_factor=1)])
        assert [code for _, code, *_ in answer.topic_errors] == [TopicAuthorizationFailedError.errno]
    finally:
        await admin.close()


async def _joined(consumer: Consumer) -> None:
    await consumer.start()
    while not consumer.client.assignment():
        await consumer.poll(max_records=1, timeout_ms=200)


async def test_a_group_belongs_to_its_service(locked: Locked, topics: list[str]) -> None:
    topic = sorted(HEARD["outage"] & set(TOPICS))[0]
    own = Consumer(settings=locked.settings("outage"), group="keyline-outage", topics=[topic])
    try:
        await asyncio.wait_for(_joined(own), timeout=20)
    finally:
        await own.stop()
    foreign = Consumer(settings=locked.settings("outage"), group="keyline-notify", topics=[topic])
    with pytest.raises((KafkaError, TimeoutError)):
        await asyncio.wait_for(_joined(foreign), timeout=5)
    await foreign.stop()


@pytest.mark.parametrize(
    "how",
    [
        {"kafka_security": "plaintext"},
        {"kafka_security": "sasl-plaintext"},
        {"secrets_dir": None, "kafka_password": SecretStr("guessed")},
        {"kafka_username": "nobody", "secrets_dir": None, "kafka_password": SecretStr("guessed")},
    ],
    ids=["no-sign-in", "without-tls", "wrong-password", "unknown-name"],
)
async def test_nobody_comes_in_without_name_password_and_tls(locked: Locked, how: dict[str, object]) -> None:
    settings = locked.settings("outage", **how)
    said = [Outgoing(topic=sorted(OWN["outage"])[0], key=b"k", value=b"{}", headers={})]
    producer = Producer(settings=settings)
    try:
        async with asyncio.timeout(15):
            assert await producer.send(said, deadline_s=5) == [False]
    except ssl.SSLError:
        pytest.fail("a refusal is an answer, not a crash")
    finally:
        await producer.discard()


async def test_a_broker_whose_key_nobody_signed_is_not_believed(locked: Locked, tmp_path: Path) -> None:
    server_secrets.make(tmp_path / "others")
    settings = locked.settings("outage", kafka_ca_file=tmp_path / "others" / "kafka_ca")
    producer = Producer(settings=settings)
    topic = sorted(OWN["outage"])[0]
    assert await producer.send([Outgoing(topic=topic, key=b"k", value=b"{}", headers={})], deadline_s=5) == [False]


def test_a_missing_password_is_named(locked: Locked, tmp_path: Path) -> None:
    with pytest.raises(MissingSecret, match="outage_kafka"):
        connection(locked.settings("outage", secrets_dir=tmp_path))


async def test_rights_follow_the_manifests_also_when_they_get_fewer(locked: Locked, topics: list[str]) -> None:
    administrator, services = locked.settings("administrator"), list(SERVICES.values())
    assert await apply_rights(services, settings=administrator) == (0, 0)
    silent = Service(name="outage", title_zh="", title_en="", metadata=SERVICES["outage"].metadata)
    fewer = len(rights_of(SERVICES["outage"])) - len(rights_of(silent))
    try:
        assert await apply_rights([silent], settings=administrator) == (0, fewer)
        assert not await _may_write(locked.settings("outage"), sorted(OWN["outage"])[0])
    finally:
        assert await apply_rights(services, settings=administrator) == (fewer, 0)


@pytest.fixture
async def database(postgres: PostgresServer, locked: Locked) -> AsyncIterator[KernelSettings]:
    settings = locked.settings(
        "outage", database_host=postgres.host, database_port=postgres.port, database_name="postgres"
    )
    own = {f"outage_{role}": settings.password_of(f"outage_{role}") for role in ROLES}
    await ensure_roles(admin_dsn=postgres.superuser_dsn, service="outage", passwords=own)
    try:
        await migrate(service=SERVICES["outage"], settings=settings)
        yield settings
    finally:  # the server is shared with the tests that come later
        shared = dict.fromkeys(own, PASSWORD)
        await ensure_roles(admin_dsn=postgres.superuser_dsn, service="outage", passwords=shared)


async def test_a_service_runs_signed_in_as_itself(
    locked: Locked, topics: list[str], database: KernelSettings, tmp_path: Path
) -> None:
    port = free_port()
    names = ("database_host", "database_port", "database_name", "secrets_dir", "kafka_bootstrap_servers",
             "kafka_security", "kafka_username", "kafka_ca_file", "environment")  # fmt: skip
    child = Child(
        Command(
            name="outage",
            argv=[sys.executable, "-m", "services.outage", "serve", "--port", str(port)],
            log_path=tmp_path / "outage.log",
            cwd=PROJECT,
            env={
                **{n: v for n, v in os.environ.items() if not n.startswith("KEYLINE_")},
                **{f"KEYLINE_{n.upper()}": str(getattr(database, n)) for n in names},
            },
            ready_url=f"http://127.0.0.1:{port}/readyz",
            ready_timeout_s=60,
        )
    )
    child.start()  # from this thread: the child ends with it
    try:
        child.wait_ready()
        await asyncio.sleep(3)
        said = (tmp_path / "outage.log").read_text()
        assert "Authorization" not in said, said[-2_000:]
    finally:
        child.stop()
