"""The four services on one database, served on loopback under tokens of an issuer of the test's own."""

import asyncio
import base64
import contextlib
import threading
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from uuid import uuid4

import aiohttp
import asyncpg
from joserfc.jwk import ECKey
from pydantic import SecretStr

from deploy.local.postgres import PostgresServer
from deploy.local.processes import free_port
from services.contracts.envelope import Event
from services.inspection.manifest import SERVICE as INSPECTION
from services.kernel.app import build_app
from services.kernel.auth.dev_issuer import build_issuer, issue
from services.kernel.auth.grants import Grant, ScopeKind, replace_grants
from services.kernel.broker import Record
from services.kernel.consumer import Applier
from services.kernel.manifest import Service
from services.kernel.settings import KernelSettings
from services.kernel.veil import pseudonyms_of
from services.kernel.work import EVERYTHING, Actor, Cause, Database
from services.notify.manifest import SERVICE as NOTIFY
from services.outage.manifest import SERVICE as OUTAGE
from services.portrait.manifest import SERVICE as PORTRAIT
from tests.listening import listening
from tests.migrated import PASSWORD, dsn_of, empty_database

SERVICES: dict[str, Service] = {s.name: s for s in (INSPECTION, OUTAGE, PORTRAIT, NOTIFY)}
AUDIENCE = "keyline-tests"
_numbers = count(1)


@dataclass(kw_only=True)
class Town:
    """One migrated database of all services. `place` is host:port/name."""

    place: str
    superuser_dsn: str
    settings: KernelSettings

    async def admin(self) -> asyncpg.Connection:
        return await asyncpg.connect(self.superuser_dsn)

    async def login(self, service: str, role: str) -> asyncpg.Connection:
        return await asyncpg.connect(f"postgresql://{service}_{role}:{PASSWORD}@{self.place}")

    def database(self, service: str) -> Database:
        return Database(service=service, metadata=SERVICES[service].metadata, settings=self.settings)

    async def grant(
        self, service: str, person_id: str, *roles: str, kind: ScopeKind, scope_id: str = "", origin: str = "post"
    ) -> None:
        """By this `origin` the person holds exactly these roles in this service."""
        await self.grant_all(service, {person_id: roles}, kind=kind, scope_id=scope_id, origin=origin)

    async def grant_all(
        self, service: str, roles_of: Mapping[str, Sequence[str]], *, kind: ScopeKind, scope_id: str = "",
        origin: str = "post",
    ) -> None:  # fmt: skip
        """The same for many persons, in one transaction."""
        since = datetime.now(UTC) - timedelta(days=1)
        database = self.database(service)
        cause = Cause(id=f"grants-{next(_numbers)}", source="tests", type="grant")
        actor = Actor(person_id="system:tests")
        async with database.work(role="worker", cause=cause, actor=actor, scope=EVERYTHING) as work:
            for person_id, roles in roles_of.items():
                grants = [
                    Grant(
                        person_id=person_id, role=role, scope_kind=kind, scope_id=scope_id, valid_from=since,
                        valid_to=None,
                    )
                    for role in roles
                ]  # fmt: skip
                await replace_grants(work, origin=f"test:{origin}:{person_id}", grants=grants)
        await database.close()

    async def hear(self, service: str, event: Event, *, event_id: str | None = None) -> str:
        """Apply one record as the poll loop of `service` would."""
        database = self.database(service)
        header = {
            "ce_specversion": "1.0", "ce_id": event_id or uuid4().hex, "ce_source": "tests", "ce_type": event.TYPE,
            "ce_time": datetime.now(UTC).isoformat(),
        }  # fmt: skip
        record = Record(
            topic=event.TOPIC, partition=0, offset=next(_numbers), key=event.key.encode(), value=event.to_wire(),
            headers=header, timestamp_ms=0,
        )  # fmt: skip
        try:
            return await Applier(service=SERVICES[service], database=database).apply(record)
        finally:
            await database.close()


async def build_town(server: PostgresServer) -> Town:
    name = await empty_database(server, *SERVICES.values())
    settings = KernelSettings(
        environment="test", database_host=server.host, database_port=server.port, database_name=name,
        database_password=SecretStr(PASSWORD), oidc_audience=AUDIENCE,
        pseudonym_key=SecretStr(base64.b64encode(bytes(range(32))).decode()),
    )  # fmt: skip
    return Town(place=f"{server.host}:{server.port}/{name}", superuser_dsn=dsn_of(server, name), settings=settings)


@dataclass(kw_only=True)
class Served:
    """The four services on loopback, and the issuer whose tokens they take."""

    url: str
    key: ECKey
    issuer: str


@dataclass(kw_only=True)
class Street:
    """A caller's view of the served services."""

    town: Town
    url: str
    key: ECKey
    issuer: str
    session: aiohttp.ClientSession
    _tokens: dict[str, str] = field(default_factory=dict)

    def token(self, person_id: str) -> str:
        return issue(key=self.key, issuer=self.issuer, audience=AUDIENCE, person_id=person_id)

    def pseudonym(self, value: str, *, kind: str) -> str:
        return pseudonyms_of(self.town.settings).of(value, kind=kind)

    async def call(
        self, method: str, path: str, *, by: str = "", body: Any = None, header: dict[str, str] | None = None,
        data: bytes | None = None,
    ) -> tuple[int, str]:  # fmt: skip
        """Status and text; a write carries a fresh idempotency key unless one is given."""
        headers = {"Idempotency-Key": uuid4().hex, **(header or {})}
        if by:
            if by not in self._tokens:
                self._tokens[by] = self.token(by)
            headers["Authorization"] = f"Bearer {self._tokens[by]}"
        async with self.session.request(method, self.url + path, json=body, data=data, headers=headers) as answer:
            return answer.status, await answer.text(errors="replace")


def _session() -> aiohttp.ClientSession:
    """A connection per request: one that the server is about to close is never used again."""
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True))


@contextlib.asynccontextmanager
async def walked(town: Town, served: Served) -> AsyncIterator[Street]:
    async with _session() as session:
        yield Street(town=town, url=served.url, key=served.key, issuer=served.issuer, session=session)


@contextlib.contextmanager
def served(town: Town) -> Iterator[Served]:
    """In a thread with a loop of its own, so that many tests, each with its own loop, call the same services."""
    ready: Future[Served] = Future()
    over = threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(_serve(town, ready, over)), name="the served services")
    thread.start()
    try:
        yield ready.result(timeout=60)
    finally:
        over.set()
        thread.join()


async def _serve(town: Town, ready: "Future[Served]", over: threading.Event) -> None:
    try:
        key = ECKey.generate_key("P-256", {"kid": "test", "use": "sig"}, private=True)
        issuer_port, port = free_port(), free_port()
        issuer = f"http://127.0.0.1:{issuer_port}"
        settings = town.settings.model_copy(update={"oidc_issuer": issuer, "oidc_jwks_url": f"{issuer}/jwks.json"})
        signing = build_issuer(key=key, issuer=issuer, audience=AUDIENCE, environment="test")
        app = build_app(list(SERVICES.values()), settings=settings, role="api")
        async with listening(signing, issuer_port), listening(app, port):
            ready.set_result(Served(url=f"http://127.0.0.1:{port}", key=key, issuer=issuer))
            await asyncio.to_thread(over.wait)
    except BaseException as error:
        if ready.done():
            raise
        ready.set_exception(error)
