"""The restore drill: a database from a copy with newer places at the broker, and a broker that lost what was sent."""

import asyncio
import dataclasses
import json
import shutil
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError

from deploy.local.postgres import EmbeddedPostgres, PostgresServer
from services.kernel.reconcile import UnusableSince, check_since
from tests.conftest import PROJECT, Stack
from tests.kernel.echo import Answered, Counted, Said, Stated
from tests.kernel.house import EchoHouse, headers, open_house

GAPS = 50
STATE = {
    "heard": "SELECT id, customer_id, words FROM echo.heard ORDER BY id",
    "stated": "SELECT * FROM echo.stated ORDER BY subject_id",
    "counted": "SELECT * FROM echo.counted ORDER BY count_id",
    "answers": "SELECT id, payload FROM echo.outbox ORDER BY id",
}
QUIET = "SELECT 1 FROM echo.outbox WHERE published_at IS NULL"


@dataclasses.dataclass(kw_only=True)
class Drill:
    """The echo service on a Postgres of its own, whose files can be copied while it runs."""

    house: EchoHouse
    server: EmbeddedPostgres

    async def reconcile(self, *more: str, since: datetime) -> tuple[int, list[dict[str, Any]]]:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.kernel.echo", "reconcile", "--since", since.isoformat(), *more,
            env=self.house.environment(), cwd=PROJECT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, errors = await process.communicate()
        assert process.returncode in (0, 1), errors.decode()
        assert out, errors.decode()
        return process.returncode, [json.loads(line) for line in out.decode().splitlines()]

    async def state(self) -> dict[str, list[tuple[Any, ...]]]:
        return {name: [tuple(r) for r in await self.house.rows(sql)] for name, sql in STATE.items()}

    async def copy(self, to: Path) -> None:
        """A base backup by the rules of Postgres' manual: start, copy the files, stop, keep label and log."""
        admin = await asyncpg.connect(self.house.stack.postgres.superuser_dsn)
        await admin.execute("SELECT pg_backup_start('drill', true)")
        leave = shutil.ignore_patterns("postmaster.pid", "pg_wal")
        await asyncio.to_thread(shutil.copytree, self.server.data, to, ignore=leave)
        label = await admin.fetchval("SELECT labelfile FROM pg_backup_stop(false)")
        await asyncio.to_thread(shutil.copytree, self.server.data / "pg_wal", to / "pg_wal")
        await admin.close()
        (to / "backup_label").write_text(label)

    def restore(self, copy: Path) -> None:
        self.server.stop()
        owner = self.server.data.stat()
        shutil.rmtree(self.server.data)
        shutil.move(copy, self.server.data)
        for path in (self.server.data, *self.server.data.rglob("*")):
            shutil.chown(path, owner.st_uid, owner.st_gid)
        self.server.data.chmod(0o700)
        self.server.start()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[EmbeddedPostgres, PostgresServer]]:
    server = EmbeddedPostgres(folder=tmp_path_factory.mktemp("drill"), synchronous_commit="off")
    try:
        yield server, server.start()
    finally:
        server.discard()


@pytest.fixture
async def drill(stack: Stack, server: tuple[EmbeddedPostgres, PostgresServer], tmp_path: Path) -> AsyncIterator[Drill]:
    house = await open_house(dataclasses.replace(stack, postgres=server[1]), tmp_path)
    try:
        house.start().wait_ready()
        yield Drill(house=house, server=server[0])
    finally:
        if house.child is not None:
            house.child.kill()


async def _day(house: EchoHouse, name: str, facts: int) -> None:
    """`facts` records of the single profile, with a deletion and a return among them, and twenty of the bulk one."""
    stated = [Stated(subject_id=f"{name}-S", version=1, words="first")]
    await house.send(*stated)
    await house.send_raw(Stated.TOPIC, None, key=f"{name}-S".encode(), header=headers(""))
    await house.send(Stated(subject_id=f"{name}-S", version=2, words="back"))
    await house.send(*[Said(customer_id=f"C{n % 7}", words=f"{name} {n}") for n in range(facts - 4)])
    await house.send(Said(customer_id="C1", words="waits", about=f"{name}-later"))
    await house.send(*[Counted(count_id=f"{name}-{n}", n=n + 100) for n in range(20)])


async def _settled(house: EchoHouse, *, heard: int, counted: int) -> None:
    await house.until("SELECT count(*) FROM echo.heard", lambda rows: rows[0][0] == heard)
    await house.until("SELECT count(*) FROM echo.counted", lambda rows: rows[0][0] == counted)
    await house.until(QUIET, lambda rows: not rows)
    await _committed_to_the_end(house)


@asynccontextmanager
async def _members(house: EchoHouse) -> AsyncIterator[list[tuple[AIOKafkaConsumer, list[TopicPartition]]]]:
    """A client for each group of the service, which joins nothing, and the partitions that the group reads."""
    groups = {"keyline-echo": (Said.TOPIC, Stated.TOPIC), "keyline-echo-echo-counted": (Counted.TOPIC,)}
    async with AsyncExitStack() as stack:
        found = []
        for group, topics in groups.items():
            client = AIOKafkaConsumer(
                bootstrap_servers=house.stack.broker.bootstrap_servers,
                group_id=f"{house.name}-{group}",
                enable_auto_commit=False,
            )
            await client.start()
            stack.push_async_callback(client.stop)
            found.append((client, [TopicPartition(f"{house.name}-{topic}", p) for topic in topics for p in (0, 1)]))
        yield found


async def _committed_to_the_end(house: EchoHouse) -> None:
    async with _members(house) as members, asyncio.timeout(20):
        for client, partitions in members:
            ends = await client.end_offsets(partitions)
            places: dict[TopicPartition, int] = {}
            while places != ends:
                await asyncio.sleep(0.1)
                places = {p: await client.committed(p) or 0 for p in partitions}


async def _forget_places(house: EchoHouse) -> None:
    """As after a restore of the broker from before anything was read."""
    async with _members(house) as members, asyncio.timeout(20):
        for client, partitions in members:
            client.assign(partitions)
            while True:  # the broker lets go of the killed member after its session
                try:
                    await client.commit(dict.fromkeys(partitions, 0))
                    break
                except KafkaError:
                    await asyncio.sleep(0.5)


async def _lose(house: EchoHouse, topic: str) -> None:
    """Deleted, and made again as empty as a broker from a backup has it."""
    admin = AIOKafkaAdminClient(bootstrap_servers=house.stack.broker.bootstrap_servers)
    await admin.start()
    try:
        await admin.delete_topics([f"{house.name}-{topic}"])
        async with asyncio.timeout(20):
            refused = True
            while refused:  # until the old one is gone
                await asyncio.sleep(0.3)
                made = await admin.create_topics([NewTopic(f"{house.name}-{topic}", 2, 1)])
                refused = bool(made.topic_errors[0][1])
    finally:
        await admin.close()


async def test_a_database_older_than_the_brokers_places_is_brought_up_again(drill: Drill, tmp_path: Path) -> None:
    house, began = drill.house, datetime.now(UTC) - timedelta(seconds=5)
    await _day(house, "before", 30)
    await _settled(house, heard=26, counted=20)
    await drill.copy(tmp_path / "copy")
    await _day(house, "after", GAPS)
    await _settled(house, heard=26 + GAPS - 4, counted=40)
    whole = await drill.state()
    assert house.child is not None
    house.child.kill()

    drill.restore(tmp_path / "copy")
    assert len((await drill.state())["heard"]) == 26
    status, found = await drill.reconcile(since=began)
    assert status == 1
    assert found[-1]["unheard"] == GAPS == sum(line["unheard"] for line in found[:-1] if "unheard" in line)
    assert found[-1]["forgotten"] == GAPS - 4, "its answers are on the topic, and the outbox that sent them is gone"

    status, found = await drill.reconcile("--repair", since=began)
    assert (status, found[-1]["applied"], found[-1]["repeated_in_bulk"]) == (0, GAPS, 40)
    assert (found[-1]["forgotten"], found[-1]["already_said"]) == (0, GAPS - 4)
    assert await drill.state() == whole

    house.start().wait_ready()
    await house.send(Stated(subject_id="after-later", version=1, words="here"))
    await _settled(house, heard=26 + GAPS - 3, counted=40)
    status, found = await drill.reconcile(since=began)
    assert (status, len(found)) == (0, 1), "nothing differs"
    answers = [a["headers"]["ce_id"] for a in await house.said_on(Answered.TOPIC)]
    assert len(answers) == len(set(answers)) == 26 + GAPS - 3


async def test_places_older_than_the_database_change_nothing_and_a_lost_topic_is_said_again(drill: Drill) -> None:
    house, began = drill.house, datetime.now(UTC) - timedelta(seconds=5)
    await _day(house, "only", 30)
    await _settled(house, heard=26, counted=20)
    whole = await drill.state()
    assert house.child is not None
    house.child.kill()

    await _forget_places(house)
    await _lose(house, Answered.TOPIC)
    status, found = await drill.reconcile(since=began)
    assert (status, found[-1]["unheard"], found[-1]["unsaid"]) == (1, 0, 26)
    status, found = await drill.reconcile("--repair", since=began)
    assert (status, found[-1]["to_be_said_again"]) == (0, 26)

    house.start().wait_ready()
    await _settled(house, heard=26, counted=20)
    assert await drill.state() == whole
    answers = await house.said_on(Answered.TOPIC)
    assert sorted(a["value"]["words"] for a in answers) == sorted(words for _, _, words in whole["heard"])


def test_a_moment_that_topics_do_not_reach_is_refused() -> None:
    now = datetime(2026, 3, 31, tzinfo=UTC)
    check_since(now - timedelta(days=13), now=now)
    for since in (now - timedelta(days=15), now + timedelta(hours=1), datetime(2026, 3, 30)):  # noqa: DTZ001
        with pytest.raises(UnusableSince, match="最近 14 天内"):
            check_since(since, now=now)
