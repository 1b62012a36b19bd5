"""Real faults of a running service, seen by a real Prometheus: each alert fires, and clears after the mending.

All times of the rules (waits, windows, limits of metrics in seconds) are divided by `FASTER`; nothing else is changed.
"""

import asyncio
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import pytest
import yaml
from aiokafka import AIOKafkaProducer
from prometheus_client.metrics import MetricWrapperBase

from deploy.local.house import House
from deploy.local.processes import Child, Command, free_port
from services.contracts.envelope import Event
from services.contracts.marketing import BillIssued
from services.contracts.notify import AccessGrant, PostAssigned
from services.kernel import metrics
from tests.conftest import PROJECT
from tests.deploy.monitoring import PROMETHEUS, RULES, tool
from tests.integration.portrait.sayings import archive

FASTER = 30
_SECONDS = {"s": 1, "m": 60, "h": 3600}


def _faster(duration: re.Match[str]) -> str:
    return f"{max(1, int(duration[1]) * _SECONDS[duration[2]] * 1000 // FASTER)}ms"


def hurried_rules() -> str:
    """The rules with every time divided by FASTER."""
    rules = yaml.safe_load(RULES.read_text(encoding="utf-8"))
    for rule in (r for group in rules["groups"] for r in group["rules"]):
        rule["for"] = re.sub(r"^(\d+)([smh])$", _faster, rule["for"])
        expression = re.sub(r"(?<=\[)(\d+)([smh])(?=\])", _faster, rule["expr"])
        if "_seconds" in expression and "histogram" not in expression and "rate(" not in expression:
            expression = re.sub(r"> (\d+)$", lambda m: f"> {int(m[1]) / FASTER:g}", expression)
        rule["expr"] = expression
    return yaml.safe_dump(rules, allow_unicode=True)


@dataclass(kw_only=True)
class Watched:
    house: House
    prometheus: str
    session: aiohttp.ClientSession

    @property
    def service(self) -> Child:
        return self.house.child("portrait")

    async def firing(self) -> set[tuple[str, str]]:
        """(alert, what of) as Prometheus tells it."""
        async with self.session.get(f"{self.prometheus}/api/v1/alerts") as answer:
            found = (await answer.json())["data"]["alerts"]
        return {
            (a["labels"]["alertname"], a["labels"].get("what", a["labels"].get("topic", "")))
            for a in found
            if a["state"] == "firing"
        }

    async def until(self, alert: str, what: str = "", *, firing: bool, seconds: float = 40) -> None:
        begun = time.monotonic()
        while ((alert, what) in await self.firing()) is not firing:
            if time.monotonic() - begun > seconds:
                state = "did not fire" if firing else "did not clear"
                raise AssertionError(f"{alert} {state}; firing: {await self.firing()}\n{self.service.tail()}")
            await asyncio.sleep(0.2)
        print(f"{alert} {what} {'fired' if firing else 'cleared'} after {time.monotonic() - begun:.1f} s")

    async def send(self, *events: Event) -> None:
        await self.send_raw(*[(e.TOPIC, e.key, e.TYPE, e.to_wire()) for e in events])

    async def send_raw(self, *records: tuple[str, str, str, bytes]) -> None:
        assert self.house.broker is not None
        producer = AIOKafkaProducer(bootstrap_servers=self.house.broker.bootstrap_servers, acks="all")
        await producer.start()
        try:
            for topic, key, type_, body in records:
                header = {
                    "ce_specversion": "1.0", "ce_id": uuid4().hex, "ce_source": "tests", "ce_type": type_,
                    "ce_time": datetime.now(UTC).isoformat(),
                }  # fmt: skip
                headers = [(k, v.encode()) for k, v in header.items()]
                await producer.send_and_wait(topic, value=body, key=key.encode(), headers=headers)
        finally:
            await producer.stop()

    async def call(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        header = {
            "Authorization": f"Bearer {self.house.token('operator')}", "Idempotency-Key": uuid4().hex,
        }  # fmt: skip
        url = self.house.url("portrait") + path
        async with self.session.request(method, url, json=body, headers=header) as answer:
            return answer.status, await answer.json()

    def settle_dead_letters(self) -> int:
        """As the operator does it: list, then skip each, with the command of the runbook."""

        def command(*argv: str) -> str:
            done = subprocess.run(
                [sys.executable, "-m", "services.portrait", "dead-letters", *argv],
                env={**os.environ, **self.house.environment("portrait")},
                cwd=PROJECT, capture_output=True, text=True, check=True, timeout=60,
            )  # fmt: skip
            return done.stdout

        letters = [json.loads(line)["id"] for line in command("list").splitlines()]
        for letter in letters[:1]:
            command("skip", letter, "--reason", "a test sent it")
        return len(letters)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    tool("prometheus")
    with House(folder=tmp_path_factory.mktemp("watched"), services=("portrait",), durable=False) as opened:
        yield opened


@pytest.fixture
async def watched(house: House, tmp_path: Path) -> AsyncIterator[Watched]:
    async with _prometheus(house, tmp_path) as url, aiohttp.ClientSession() as session:
        yield Watched(house=house, prometheus=url, session=session)


@asynccontextmanager
async def _prometheus(house: House, folder: Path) -> AsyncIterator[str]:
    """A Prometheus on loopback that scrapes the running service every second."""
    configuration = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text(encoding="utf-8"))
    configuration["global"] = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
    [keyline] = [c for c in configuration["scrape_configs"] if c["job_name"] == "keyline"]
    keyline["static_configs"] = [{"targets": [house.url("portrait").removeprefix("http://")]}]
    configuration["scrape_configs"] = [keyline]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(configuration))
    (folder / "rules.yml").write_text(hurried_rules(), encoding="utf-8")
    address = f"127.0.0.1:{free_port()}"
    child = Child(
        Command(
            name="prometheus",
            argv=[
                tool("prometheus"), f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}", f"--web.listen-address={address}", "--log.level=warn",
            ],
            log_path=folder / "prometheus.log",
            ready_url=f"http://{address}/-/ready",
        )
    )  # fmt: skip
    child.start()
    try:
        child.wait_ready()
        yield f"http://{address}"
    finally:
        child.stop()


def _bill(account_id: str) -> BillIssued:
    return BillIssued(
        account_id=account_id, bill_id=f"B-{uuid4().hex[:8]}", period_from=date(2026, 5, 1),
        period_to=date(2026, 6, 1), energy_kwh=Decimal(10), amount_yuan=Decimal(7), due_on=date(2026, 6, 20),
    )  # fmt: skip


async def test_real_faults_fire_their_alerts_and_mending_clears_them(watched: Watched) -> None:
    everything = AccessGrant(
        person_id="operator", role="data-publisher", scope_kind="everything", scope_id="all",
        valid_from=datetime(2020, 1, 1, tzinfo=UTC),
    )  # fmt: skip
    await watched.send(PostAssigned(post_id="POST-1", version=1, grants=(everything,)))
    await asyncio.sleep(5)
    assert await watched.firing() == set(), "alerts without a fault"
    await watched.send(_bill("A-missing"))  # its alert is due after half a minute
    await _exposes_what_the_kernel_declares(watched)
    await _a_stopped_process(watched)
    await _a_dead_letter(watched)
    await _a_poisoned_partition(watched)
    await watched.until("KeylineWaitingReferences", firing=True)
    await watched.send(archive("C-missing"))
    await watched.until("KeylineWaitingReferences", firing=False)
    await _a_broker_away(watched)


async def _exposes_what_the_kernel_declares(watched: Watched) -> None:
    async with watched.session.get(f"{watched.house.url('portrait')}/metrics") as answer:
        text = await answer.text()
    declared = {next(iter(m.describe())).name for m in vars(metrics).values() if isinstance(m, MetricWrapperBase)}
    shown = set(re.findall(r"^# TYPE (\w+?)(?:_total)? ", text, flags=re.M))
    assert declared - shown == set()
    assert 0 < len(re.findall(r"^keyline_", text, flags=re.M)) < 2_000


async def _a_stopped_process(watched: Watched) -> None:
    watched.service.pause()
    try:
        await watched.until("KeylineServiceDown", firing=True)
    finally:
        watched.service.resume()
    await watched.until("KeylineServiceDown", firing=False)


async def _a_dead_letter(watched: Watched) -> None:
    await watched.send_raw(("marketing-bills", "A-1", BillIssued.TYPE, b"{"))
    await watched.until("KeylineDeadLetters", firing=True)
    assert watched.settle_dead_letters() == 1
    await watched.until("KeylineDeadLetters", firing=False)


async def _a_broker_away(watched: Watched) -> None:
    """What the door takes meanwhile stays in the outbox, and leaves it when the broker is back."""
    broker = watched.house.broker
    assert broker is not None
    assert broker.server is not None
    durable = broker.kind == "kafka"
    (broker.server.kill if durable else broker.server.pause)()
    item = {"type": BillIssued.TYPE, "data": json.loads(_bill("A-missing").to_wire())}
    status, answer = await watched.call("POST", "/portrait/v1/doors/marketing-bills", [item])
    assert (status, answer) == (202, {"accepted": 1}), "the door needs no broker"
    await watched.until("KeylineOutboxGrowing", firing=True)
    await watched.until("KeylineDependencyAway", "broker", firing=True)
    if durable:
        await asyncio.to_thread(broker.server.start)
    else:
        broker.server.resume()
    await watched.until("KeylineOutboxGrowing", firing=False, seconds=60)
    await watched.until("KeylineDependencyAway", "broker", firing=False, seconds=60)


async def _a_poisoned_partition(watched: Watched) -> None:
    """Mended as the runbook says: the producer stops, the service is started again."""
    poison = ("marketing-violations", "A-1", "keyline.marketing.violation-recorded.v1", b"{")
    await watched.send_raw(*[poison] * 60)
    await watched.until("KeylinePartitionStopped", "marketing-violations", firing=True)
    await watched.until("KeylineConsumerBehind", firing=True)
    watched.service.restart()
    await watched.until("KeylinePartitionStopped", "marketing-violations", firing=False)
    await watched.until("KeylineConsumerBehind", firing=False)
