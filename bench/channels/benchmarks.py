"""What carries messages to a provider: the product's transport against aiohttp and httpx, at one concurrency."""

import asyncio
import hashlib
import json
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import httpx

from bench.frame import Benchmark, Measured, Size, Variant
from bench.stack import Stack
from deploy.local.processes import Child, Command, free_port
from services.notify.adapters.wechat.messages import TemplateMessage
from services.notify.adapters.wechat.transport import Transport, TransportLimits

PATH = "/cgi-bin/message/template/send"
CONCURRENT = 32
"""The transport's own limit of connections; above a few hundred a second the provider's limits decide anyway."""
_PROJECT = Path(__file__).resolve().parents[2]
Send = Callable[[dict[str, object]], Awaitable[dict[str, Any]]]


def bodies(count: int) -> list[dict[str, object]]:
    values = {"thing1": "某精密制造公司", "character_string2": "5001002003", "time3": "2026年1月15日 10:00"}
    return [
        TemplateMessage(openid=f"o-{n:06d}", template_id="FAULT_OUTAGE", values=values, client_msg_id=f"m{n}").body()
        for n in range(count)
    ]


async def send_all(send: Send, wanted: Sequence[dict[str, object]]) -> Measured:
    answers: list[int] = [0] * len(wanted)
    took: list[float] = [0.0] * len(wanted)
    todo = iter(range(len(wanted)))

    async def worker() -> None:
        for number in todo:
            begun = time.perf_counter()
            answers[number] = int((await send(wanted[number]))["msgid"])
            took[number] = time.perf_counter() - begun

    begun, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(worker() for _ in range(CONCURRENT)))
    seconds = time.perf_counter() - begun
    p99_ms = statistics.quantiles(took, n=100)[98] * 1000
    digest = hashlib.sha256(repr(answers).encode()).hexdigest()
    facts = {"p99_ms": round(p99_ms, 2), "client_cpu_s": round(time.process_time() - cpu, 3)}
    return Measured(work=len(wanted), seconds=seconds, digests={"answers": digest}, facts=facts)


async def with_transport(url: str, wanted: Sequence[dict[str, object]]) -> Measured:
    async with Transport(base_url=url, limits=TransportLimits(max_connections=CONCURRENT)) as transport:
        return await send_all(lambda body: transport.call(path=PATH, query={"access_token": "t"}, body=body), wanted)


async def with_aiohttp(url: str, wanted: Sequence[dict[str, object]]) -> Measured:
    timeout = aiohttp.ClientTimeout(total=8.0, sock_connect=3.0)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=CONCURRENT), timeout=timeout) as client:

        async def send(body: dict[str, object]) -> dict[str, Any]:
            data = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
            async with client.post(url + PATH, params={"access_token": "t"}, data=data) as answer:
                found: dict[str, Any] = json.loads(await answer.read())
                return found

        return await send_all(send, wanted)


async def with_httpx(url: str, wanted: Sequence[dict[str, object]]) -> Measured:
    limits = httpx.Limits(max_connections=CONCURRENT, max_keepalive_connections=CONCURRENT)
    async with httpx.AsyncClient(limits=limits, timeout=8.0) as client:

        async def send(body: dict[str, object]) -> dict[str, Any]:
            # Its JSON is UTF-8 already, as WeChat wants it.
            answer = await client.post(url + PATH, params={"access_token": "t"}, json=body)
            found: dict[str, Any] = answer.json()
            return found

        return await send_all(send, wanted)


@asynccontextmanager
async def http_clients(_: Stack, size: Size) -> AsyncIterator[Sequence[Variant]]:
    wanted = bodies(500 if size.quick else 5_000)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory(prefix="sink-") as folder:
        argv = [sys.executable, "-m", "bench.channels.sink", str(port)]
        command = Command(
            name="sink", argv=argv, log_path=Path(folder) / "sink.out", cwd=_PROJECT, ready_url=f"{url}/ready"
        )
        sink = Child(command)
        sink.start()
        try:
            sink.wait_ready()
            yield [
                Variant(
                    name="transport", what="the product's transport over its own connections",
                    run=lambda: with_transport(url, wanted),
                ),
                Variant(
                    name="aiohttp", what="one aiohttp.ClientSession with as many connections, kept alive",
                    run=lambda: with_aiohttp(url, wanted), target=1.5,
                ),
                Variant(
                    name="httpx", what="one httpx.AsyncClient with as many connections, kept alive",
                    run=lambda: with_httpx(url, wanted), target=1.5,
                ),
            ]  # fmt: skip
        finally:
            sink.stop()


BENCHMARKS = (
    Benchmark(
        name="channels-http-clients", unit="messages", open=http_clients,
        summary=f"messages to a provider, {CONCURRENT} under way at once",
    ),
)  # fmt: skip
