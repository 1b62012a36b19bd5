"""notify as it runs: a process of its own on the real broker, and events for it at a steady rate."""

import asyncio
import json
import os
import socket
import sys
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from importlib import import_module
from uuid import uuid4

import aiohttp
from sqlalchemy import insert

from bench.fanout.house import MASTER_KEY, FanoutHouse, customer_of, openid_of, person_of
from bench.stack import PROJECT, Stack
from services.contracts.envelope import Event
from services.contracts.outage import Affected, AffectedPart, FaultOutageDetected
from services.kernel.broker import Outgoing, Producer, ensure_topics
from services.notify.tables import engagement

_SERVICES = ("inspection", "outage", "portrait", "notify")
_READY_S, _ARRIVED_S = 60, 60


async def engage(house: FanoutHouse) -> None:
    """Each person is the contact of one customer."""
    since = datetime.now(UTC) - timedelta(days=1)
    rows = [
        {
            "person_id": person_of(n), "engagement_id": f"E-{n}", "customer_id": customer_of(n), "account_ids": [],
            "role": "customer-contact", "valid_from": since, "source": "archive",
        }
        for n in range(house.people)
    ]  # fmt: skip
    for first in range(0, len(rows), 2_000):
        async with house.work(f"engage|{first}") as work:
            await work.db.execute(insert(engagement), rows[first : first + 2_000])
    await house.admin.execute("VACUUM ANALYZE")


@asynccontextmanager
async def running(stack: Stack, house: FanoutHouse) -> AsyncIterator[None]:
    """`python -m services.notify serve`, all roles in one process, WeChat at the house's sink."""
    specs = {t.name: t for name in _SERVICES for t in import_module(f"services.{name}.manifest").SERVICE.topics}
    await ensure_topics([*specs.values()], settings=house.settings)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    environment = {
        **os.environ, **stack.environment(house.settings), "KEYLINE_MASTER_KEY": MASTER_KEY,
        "KEYLINE_WECHAT_BASE_URL": house.url, "KEYLINE_WECHAT_APP_ID": "wx", "KEYLINE_WECHAT_APP_SECRET": "s",
        "KEYLINE_WECHAT_CALLBACK_TOKEN": "t",
    }  # fmt: skip
    with (stack.folder / "notify.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "services.notify", "serve", "--port", str(port), cwd=PROJECT, env=environment,
            stdout=log, stderr=log,
        )  # fmt: skip
    try:
        await _ready(f"http://127.0.0.1:{port}/readyz", process)
        yield
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _ready(url: str, process: asyncio.subprocess.Process) -> None:
    until = time.monotonic() + _READY_S
    async with aiohttp.ClientSession() as session:
        while time.monotonic() < until and process.returncode is None:
            try:
                async with session.get(url) as answer:
                    if answer.status == 200:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.2)
    raise RuntimeError("notify does not become ready")


def fault(people: Iterable[int], *, name: str, part: int = 1, parts: int = 1) -> FaultOutageDetected:
    """An outage that touches one account of each of these people's customers, detected now."""
    affected = tuple(
        Affected(account_id=f"A-{n:06d}", customer_id=customer_of(n), usage_point_id=f"UP-{n:06d}") for n in people
    )
    return FaultOutageDetected(
        outage_id=name, feeder_id="F-1", fault_id=f"FA-{name}", detected_at=datetime.now(UTC),
        affected=AffectedPart(set_id=name, set_version=1, part=part, parts=parts, affected=affected),
    )  # fmt: skip


def record_of(event: Event) -> Outgoing:
    headers = {
        "ce_specversion": "1.0", "ce_id": uuid4().hex, "ce_source": "bench/outage", "ce_type": event.TYPE,
        "ce_time": datetime.now(UTC).isoformat(), "ce_subject": event.key, "content-type": "application/json",
    }  # fmt: skip
    return Outgoing(topic=event.TOPIC, key=event.key.encode(), value=event.to_wire(), headers=headers)


async def say_steadily(producer: Producer, people: range, *, per_second: int, name: str) -> dict[str, float]:
    """One fault for each person, at the rate; openid -> when it was detected."""
    begun, detected = time.monotonic(), {}
    sending: list[asyncio.Task[list[bool]]] = []
    for number, n in enumerate(people):
        await asyncio.sleep(begun + number / per_second - time.monotonic())
        event = fault([n], name=f"{name}-{n}")
        detected[openid_of(n)] = event.detected_at.timestamp()
        sending.append(asyncio.create_task(producer.send([record_of(event)])))
    assert all(ok for sent in await asyncio.gather(*sending) for ok in sent)
    return detected


async def arrivals(house: FanoutHouse, count: int) -> dict[str, float]:
    """openid -> when the provider took its first message; waits until so many people have one."""
    until = time.monotonic() + _ARRIVED_S
    async with aiohttp.ClientSession() as session:
        while True:
            async with session.get(f"{house.url}/arrivals") as answer:
                told = json.loads(await answer.read())
            if len(told["at"]) >= count:
                assert len(told["times"]) == count, "somebody was told twice"
                return dict(told["at"])
            if time.monotonic() > until:
                raise RuntimeError(f"{len(told['at'])} of {count} people were told after {_ARRIVED_S} s")
            await asyncio.sleep(0.5)
