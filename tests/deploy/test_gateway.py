"""The gateway's own configuration in a real nginx on loopback, before a service that answers everything."""

import asyncio
import os
import re
import shutil
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from deploy.local.processes import Child, Command, accepts_connections, free_port
from tests.conftest import PROJECT
from tests.deploy.monitoring import tool

CONFIGURATION = PROJECT / "deploy" / "gateway" / "nginx.conf"


@dataclass(kw_only=True)
class Gateway:
    port: int
    child: Child
    seen: list[web.Request]

    def session(self) -> aiohttp.ClientSession:
        trusting = ssl.create_default_context()
        trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
        return aiohttp.ClientSession(
            f"https://127.0.0.1:{self.port}", connector=aiohttp.TCPConnector(ssl=trusting, limit=200)
        )


def _certificate(folder: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1)).sign(key, hashes.SHA256())
    )  # fmt: skip
    (folder / "gateway_certificate").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "gateway_key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )  # fmt: skip


def _placed(folder: Path, *, port: int, health: int, upstream: int) -> str:
    """The very file of the server with this machine's ports, folder and service address in it."""
    text = CONFIGURATION.read_text(encoding="utf-8")
    for pattern, value in (
        (r"listen 8443 ssl", f"listen 127.0.0.1:{port} ssl"),
        (r"listen 127\.0\.0\.1:8081", f"listen 127.0.0.1:{health}"),
        (r"(?<= )/tmp/", f"{folder}/"),
        (r"/run/secrets/", f"{folder}/"),
        (r"(inspection|outage|portrait|notify):8080;", f"127.0.0.1:{upstream};"),
    ):
        text, count = re.subn(pattern, value, text)
        assert count, pattern
    return text


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Gateway]:
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin") or tool("nginx")
    seen: list[web.Request] = []

    async def answer(request: web.Request) -> web.Response:
        await request.read()
        seen.append(request)
        return web.Response(text="ok")

    upstream, port, health = free_port(), free_port(), free_port()
    app = web.Application(client_max_size=50_000_000)
    app.router.add_route("*", "/{anything:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", upstream).start()
    _certificate(tmp_path)
    file = tmp_path / "nginx.conf"
    file.write_text(_placed(tmp_path, port=port, health=health, upstream=upstream), encoding="utf-8")
    if os.geteuid() == 0:
        file.write_text(f"user root;\n{file.read_text(encoding='utf-8')}", encoding="utf-8")
    checked = subprocess.run([nginx, "-t", "-c", str(file)], capture_output=True, text=True, check=False)  # noqa: ASYNC221
    assert checked.returncode == 0, checked.stderr
    argv = [nginx, "-c", str(file), "-g", "daemon off;"]
    child = Child(Command(name="gateway", argv=argv, log_path=tmp_path / "gateway.log"))
    child.start()
    child.wait_until(ready=lambda: accepts_connections(port=port), timeout_s=10)
    try:
        yield Gateway(port=port, child=child, seen=seen)
    finally:
        child.stop()
        await runner.cleanup()


async def test_only_the_services_routes_pass_and_the_caller_cannot_choose_its_address(gateway: Gateway) -> None:
    async with gateway.session() as session:
        for path in ("/metrics", "/livez", "/readyz", "/docs", "/openapi.json", "/outage/metrics", "/", "/x/v1/y"):
            async with session.get(path) as answer:
                assert answer.status == 404, path
        assert gateway.seen == []
        claimed = {"X-Forwarded-For": "10.0.0.1", "X-Forwarded-Proto": "http"}
        async with session.get("/outage/v1/outages?limit=5", headers=claimed) as answer:
            assert answer.status == 200
            assert "max-age" in answer.headers["Strict-Transport-Security"]
    [request] = gateway.seen
    assert (request.path_qs, request.headers["X-Forwarded-For"]) == ("/outage/v1/outages?limit=5", "127.0.0.1")
    assert request.headers["X-Forwarded-Proto"] == "https"


@pytest.mark.parametrize(
    ("path", "limit"),
    [
        ("/notify/v1/tickets", 1_048_576),
        ("/portrait/v1/doors/metering-readings", 5 * 1_048_576),
        ("/inspection/v1/hazards/h/rectify", 9 * 1_048_576),
    ],
)
async def test_each_route_takes_bodies_up_to_its_limit_and_not_one_byte_more(
    gateway: Gateway, path: str, limit: int
) -> None:
    async with gateway.session() as session:
        async with session.post(path, data=b"x" * limit) as answer:
            assert answer.status == 200
        async with session.post(path, data=b"x" * (limit + 1)) as answer:
            assert answer.status == 413
            assert (await answer.json(content_type="application/problem+json"))["field"] == "body"
    assert len(gateway.seen) == 1


async def test_a_burst_is_cut_off_with_a_time_to_come_back_whatever_address_it_claims(gateway: Gateway) -> None:
    async with gateway.session() as session:

        async def one(n: int) -> tuple[int, str | None]:
            async with session.get("/outage/v1/outages", headers={"X-Forwarded-For": f"10.0.0.{n}"}) as answer:
                return answer.status, answer.headers.get("Retry-After")

        answers = [await one(n) for n in range(120)]
    refused = [retry for status, retry in answers if status == 429]
    passed = [status for status, _ in answers if status == 200]
    assert len(passed) + len(refused) == 120
    assert len(passed) >= 41, "the burst itself must pass"
    assert len(refused) >= 20
    assert set(refused) == {"1"}
    assert len(gateway.seen) == len(passed)


async def test_slow_senders_and_large_headers_do_not_hold_a_connection(gateway: Gateway) -> None:
    async with gateway.session() as session:
        with suppress(aiohttp.ClientOSError):  # nginx may close before it has read everything
            async with session.get("/outage/v1/outages", headers={"X-Long": "a" * 40_000}) as answer:
                assert answer.status in {400, 431}
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port, ssl=trusting)
    writer.write(b"GET /outage/v1/outages HTTP/1.1\r\n")
    begun = asyncio.get_running_loop().time()
    with suppress(ConnectionError):
        await asyncio.wait_for(reader.read(), timeout=15)
    assert asyncio.get_running_loop().time() - begun < 8, "one line a minute would have held it"
    writer.close()
    assert gateway.seen == []


async def test_a_service_away_is_told_as_such_and_a_write_is_not_repeated(tmp_path: Path, gateway: Gateway) -> None:
    text = (tmp_path / "nginx.conf").read_text(encoding="utf-8")
    away = re.sub(r"127\.0\.0\.1:\d+;(?=\s|\n)(?=[\s\S]*default           \"\")", "127.0.0.1:1;", text)
    assert away != text
    (tmp_path / "nginx.conf").write_text(away, encoding="utf-8")
    gateway.child.restart()
    gateway.child.wait_until(ready=lambda: accepts_connections(port=gateway.port), timeout_s=10)
    async with gateway.session() as session, session.post("/outage/v1/planned-outages", json={}) as answer:
        assert (answer.status, answer.headers["Retry-After"]) == (503, "2")
    assert gateway.seen == []
    print("gateway:", gateway.child.tail(), file=sys.stderr)
