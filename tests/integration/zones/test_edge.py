"""The outer zone in a network of its own: only one port is open, and the inner zone opens every connection to it."""

import asyncio
import base64
import json
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from deploy.local.postgres import PostgresServer
from deploy.local.processes import Child, Command
from deploy.wechat_sandbox.settings import DEFAULT_AES_KEY, DEFAULT_APP_ID, DEFAULT_APP_SECRET, DEFAULT_TOKEN
from services.notify.channel_settings import channel_settings
from services.notify.delivery.sender import Sender
from services.notify.directory.vault import vault
from services.notify.edge.calls import EdgeCalls
from services.notify.edge.link import EdgeChannel, linked
from services.notify.edge.settings import EdgeSettings, edge_settings
from services.notify.settings import notify_settings
from services.notify.templates.texts import registered_templates
from tests.integration.notify.house import MASTER_KEY, Caller, NotifyHouse, open_house
from tests.integration.notify.test_delivery import fault, part, person, profile
from tests.integration.wechat.house import PROJECT
from tests.integration.zones.namespace import PORT, Zone, outer_zone

SANDBOX = "http://127.0.0.1:8099"
CACHED = (notify_settings, channel_settings, edge_settings, vault)
KEYS = json.dumps({"k1": base64.b64encode(b"z" * 32).decode()})


def write_certificate(folder: Path, address: str) -> tuple[Path, Path]:
    """Signed by itself: the inner side trusts this file and no authority."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "edge")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(hours=1))
    builder = builder.not_valid_after(now + timedelta(days=1))
    names = x509.SubjectAlternativeName([x509.IPAddress(ip_address(address)), x509.IPAddress(ip_address("127.0.0.1"))])
    built = builder.add_extension(names, critical=False).sign(key, hashes.SHA256())
    certificate, private = folder / "edge.pem", folder / "edge.key"
    certificate.write_bytes(built.public_bytes(serialization.Encoding.PEM))
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    private.write_bytes(key.private_bytes(*form))
    return certificate, private


@dataclass(kw_only=True)
class TwoZones:
    zone: Zone
    house: NotifyHouse
    edge: Child
    sender: Sender
    calls: EdgeCalls
    call: Caller

    def outside(self, method: str, path: str, body: object = None) -> Any:
        """The sandbox's own addresses, asked from inside the outer zone."""
        [answer] = self.all_outside((method, path, body))
        return answer

    def all_outside(self, *calls: tuple[str, str, object]) -> list[Any]:
        """One after the other, by one process: starting one for each would take longer than the calls."""
        code = (
            "import json,sys,urllib.request as u\n"
            "data=lambda b:None if b is None else json.dumps(b).encode()\n"
            "made=[u.Request(a,method=m,data=data(b)) for m,a,b in json.loads(sys.argv[1])]\n"
            "print(json.dumps([json.load(u.urlopen(r,timeout=10)) for r in made]))"
        )
        said = json.dumps([(method, SANDBOX + path, body) for method, path, body in calls])
        done = self.zone.run(sys.executable, "-c", code, said)
        assert done.returncode == 0, done.stderr
        return list(json.loads(done.stdout))

    def knocks(self, path: str) -> bool:
        try:
            return bool(self.outside("GET", path))
        except AssertionError:
            return False

    def restart_edge(self) -> None:
        self.edge.restart()
        self.edge.wait_until(ready=self._listening, timeout_s=20)

    def _listening(self) -> bool:
        with socket.socket() as probe:
            probe.settimeout(0.3)
            return probe.connect_ex((self.zone.edge_address, PORT)) == 0

    async def until(self, sql: str, wanted: int, *, seconds: float = 25) -> None:
        async with asyncio.timeout(seconds):
            while len(await self.house.rows(sql)) != wanted:  # noqa: ASYNC110 - looks from outside
                await asyncio.sleep(0.1)

    async def send_all(self) -> None:
        await self.sender.turn()
        await self.sender.drain()


@pytest.fixture
async def zones(postgres: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[TwoZones]:
    with outer_zone() as zone:
        certificate, private = write_certificate(tmp_path, zone.edge_address)
        secrets = {
            "KEYLINE_WECHAT_APP_ID": DEFAULT_APP_ID, "KEYLINE_WECHAT_CALLBACK_TOKEN": DEFAULT_TOKEN,
            "KEYLINE_WECHAT_ENCODING_AES_KEY": DEFAULT_AES_KEY, "KEYLINE_EDGE_KEYS": KEYS,
        }  # fmt: skip
        url = f"https://{zone.edge_address}:{PORT}"
        inner = {"KEYLINE_MASTER_KEY": MASTER_KEY, "KEYLINE_PUBLIC_URL": url, "KEYLINE_WECHAT_LOGIN_URL": SANDBOX,
                 "KEYLINE_EDGE_URL": url, "KEYLINE_EDGE_AUTHORITY": str(certificate)}  # fmt: skip
        for name, value in (secrets | inner).items():
            monkeypatch.setenv(name, value)
        for cached in CACHED:
            cached.cache_clear()
        outer = {"KEYLINE_WECHAT_BASE_URL": SANDBOX, "KEYLINE_WECHAT_APP_SECRET": DEFAULT_APP_SECRET,
                 "KEYLINE_EDGE_HOST": "0.0.0.0", "KEYLINE_EDGE_PORT": str(PORT),
                 "KEYLINE_EDGE_CERTIFICATE": str(certificate), "KEYLINE_EDGE_CERTIFICATE_KEY": str(private),
                 "KEYLINE_EDGE_SPOOL": str(tmp_path / "spool"), "KEYLINE_MASTER_KEY": ""}  # fmt: skip
        sandbox = child(zone, tmp_path, "sandbox", {}, "deploy.wechat_sandbox", "--log", str(tmp_path / "seen.jsonl"))
        edge = child(zone, tmp_path, "edge", outer, "services.notify", "--role", "edge")
        settings = EdgeSettings()
        try:
            sandbox.start()
            async with (
                open_house(postgres, tmp_path) as house,
                house.served() as call,
                EdgeCalls(settings=settings) as calls,
            ):
                sender = Sender(database=house.database, channels={"wechat": [EdgeChannel(calls=calls)]})
                both = TwoZones(zone=zone, house=house, edge=edge, sender=sender, calls=calls, call=call)
                edge.start()
                edge.wait_until(ready=both._listening, timeout_s=20)
                prepare(both)
                yield both
        finally:
            edge.stop()
            sandbox.stop()
            for cached in CACHED:
                cached.cache_clear()


def child(zone: Zone, folder: Path, name: str, env: dict[str, str], module: str, *arguments: str) -> Child:
    argv = zone.command(sys.executable, "-m", module, *arguments)
    return Child(Command(name=name, argv=argv, log_path=folder / f"{name}.out", env=env, cwd=PROJECT))


def prepare(zones: TwoZones) -> None:
    zones.edge.wait_until(ready=lambda: zones.knocks("/sandbox/health"), timeout_s=20)
    zones.outside("POST", "/sandbox/templates", {"templates": registered_templates()})
    callback = f"https://127.0.0.1:{PORT}/notify/v1/wechat/callback"
    # Asked long enough for an edge that starts again on a busy machine: what is shown is what the edge keeps.
    patient = {"push_attempts": 10, "push_retry_gap_s": 1.0}
    zones.outside("POST", "/sandbox/behaviour", {"callback_url": callback, **patient})
    people = [{"openid": f"o-zone-{n}"} for n in range(40)]
    zones.outside("POST", "/sandbox/followers", {"followers": people})


def visit(zones: TwoZones, url: str) -> int:
    """As a visitor's browser in the internet."""
    code = (
        "import ssl,sys,urllib.request as u;c=ssl.create_default_context();c.check_hostname=False;"
        "c.verify_mode=ssl.CERT_NONE;print(u.urlopen(sys.argv[1],timeout=20,context=c).status)"
    )
    done = zones.zone.run(sys.executable, "-c", code, url.replace(zones.zone.edge_address, "127.0.0.1"))
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


@asynccontextmanager
async def link(zones: TwoZones) -> AsyncIterator[None]:
    async with linked(database=zones.house.database, calls=zones.calls, inner_url=zones.call.url):
        yield


async def in_thread(function: Callable[..., Any], *arguments: Any) -> Any:
    return await asyncio.to_thread(function, *arguments)


async def test_messages_receipts_and_links_pass_through_one_port_alone(zones: TwoZones) -> None:
    house = zones.house
    reach = "import socket,sys;s=socket.socket();s.settimeout(2);print(s.connect_ex((sys.argv[1],int(sys.argv[2]))))"
    for port in (house.settings.database_port, int(zones.call.url.rsplit(":", 1)[1]), 22):
        done = zones.zone.run(sys.executable, "-c", reach, zones.zone.inner_address, str(port))
        assert done.stdout.strip() != "0", f"the outer zone reached port {port}"
    with socket.socket() as probe:
        probe.settimeout(2)
        assert probe.connect_ex((zones.zone.edge_address, 8099)) != 0
    await house.hear(profile("C-1", "A-1"), person("P-1", "C-1", openid="o-zone-1"), fault(part(1, 1, ("C-1", "A-1"))))
    async with link(zones):
        await zones.send_all()
        [seen] = zones.outside("GET", "/sandbox/messages?openid=o-zone-1")["messages"]
        await zones.until("SELECT 1 FROM notify.delivery WHERE channel = 'wechat' AND state = 'delivered'", 1)
        assert await in_thread(visit, zones, seen["url"]) == 200
        await zones.until("SELECT 1 FROM notify.delivery WHERE opened_at IS NOT NULL", 1)
    spool = (Path(zones.edge.command.env["KEYLINE_EDGE_SPOOL"]) / "owed.jsonl").read_text()
    assert "o-zone-1" not in spool, "an openid in the clear"


async def test_a_kill_of_the_edge_loses_and_doubles_nothing(zones: TwoZones) -> None:
    house, people = zones.house, range(2, 32)
    await house.hear(profile("C-1", "A-1"), *(person(f"P-{n}", "C-1", openid=f"o-zone-{n}") for n in people))
    await house.hear(fault(part(1, 1, ("C-1", "A-1"))))
    half = {"kind": "latency", "api": "message/template/send", "count": len(people) // 2, "delay_s": 3.0}
    zones.outside("POST", "/sandbox/faults", half)
    await zones.sender.turn()
    await until_written(zones, "sent.jsonl", '"msgid"', 5)
    zones.edge.kill()
    await zones.sender.drain()
    await in_thread(zones.restart_edge)
    said = [("POST", f"/sandbox/followers/o-zone-{n}/deeds", {"deed": "say", "text": f"say-{n}"}) for n in people]
    await in_thread(zones.all_outside, *said)  # pushed while nobody in the inner zone listens
    await until_written(zones, "owed.jsonl", '"kind": "push"', len(people))
    zones.edge.kill()
    await in_thread(zones.restart_edge)
    # As an operator does after the mending: ten failures of the kill open the circuit for longer than the test waits.
    await house.rows("UPDATE notify.circuit SET open = false, failures = 0, probe_at = NULL")
    async with link(zones):
        async with asyncio.timeout(60):
            while await house.rows("SELECT 1 FROM notify.delivery WHERE channel = 'wechat' AND state <> 'delivered'"):
                await house.rows("UPDATE notify.delivery SET next_attempt_at = now() WHERE state = 'pending'")
                await zones.send_all()
                await asyncio.sleep(0.2)
        words = "SELECT 1 FROM notify.wechat_push WHERE event = '' AND handled_at IS NOT NULL"
        await zones.until(words, len(people))
    shown = zones.all_outside(*[("GET", f"/sandbox/messages?openid=o-zone-{n}&limit=0", None) for n in people])
    assert {n: answer["count"] for n, answer in zip(people, shown, strict=True)} == dict.fromkeys(people, 1)


async def until_written(zones: TwoZones, name: str, word: str, wanted: int) -> None:
    file = Path(zones.edge.command.env["KEYLINE_EDGE_SPOOL"]) / name
    async with asyncio.timeout(20):
        while file.read_text().count(word) < wanted:  # noqa: ASYNC110 - looks from outside
            await asyncio.sleep(0.02)


def test_the_outer_zone_loads_neither_database_nor_broker() -> None:
    code = (
        "import sys, services.notify.edge.server;"
        "print([m for m in ('sqlalchemy', 'asyncpg', 'aiokafka', 'alembic') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ})
    assert done.stdout.strip() == "[]"
