"""kill -9 at every named point of the path of an event: after the restart the effect is there, once."""

import asyncio

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from tests.kernel.echo import Answered, Said
from tests.kernel.house import EchoHouse

POINTS = [
    "polled", "after-begin", "after-inbox", "after-effect", "before-commit", "after-commit", "offset-committed",
    "relay-claimed", "relay-acknowledged", "relay-marked",
]  # fmt: skip
WORDS = ["a", "b", "c"]


@pytest.mark.parametrize("point", POINTS)
async def test_death_at_any_point_loses_nothing_and_doubles_no_effect(idle: EchoHouse, point: str) -> None:
    child = idle.start(KEYLINE_FAULT=f"{point}:{2 if point.startswith('after') or point == 'before-commit' else 1}")
    await _wait_for_topics_or_death(idle)
    await idle.send(*[Said(customer_id="C1", words=w) for w in WORDS])
    child.wait_until(ready=lambda: not child.alive, timeout_s=40)
    assert child.returncode == 137, f"the planned fault {point} was not injected"
    idle.start().wait_ready()
    heard = "SELECT words FROM echo.heard ORDER BY words"
    await idle.until(heard, lambda rows: [r["words"] for r in rows] == WORDS)
    await idle.until("SELECT 1 FROM echo.outbox WHERE published_at IS NULL", lambda rows: not rows)
    answers = await idle.said_on(Answered.TOPIC)
    ids = [a["headers"]["ce_id"] for a in answers]
    first_seen = list(dict.fromkeys(a["value"]["words"] for a in answers))
    assert first_seen == WORDS, "answers of one key lost or out of order"
    assert len(set(ids)) == len(WORDS), "a repeated answer carries a new id"
    audits = await idle.rows("SELECT count(*) FROM echo.audit WHERE action = 'heard'")
    assert audits == [(len(WORDS),)]


async def _wait_for_topics_or_death(idle: EchoHouse) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=idle.stack.broker.bootstrap_servers)
    await admin.start()
    try:
        assert idle.child is not None
        idle_topics: set[str] = set()
        for _ in range(200):
            idle_topics = set(await admin.list_topics())
            if f"{idle.name}-{Said.TOPIC}" in idle_topics or not idle.child.alive:
                return
            await asyncio.sleep(0.1)
        raise AssertionError("topics were not created")
    finally:
        await admin.close()
