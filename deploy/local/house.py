"""The whole house on a laptop: Postgres, a broker, the development issuer, the WeChat sandbox and the services."""

import asyncio
import base64
import json
import secrets
import sys
import time
import urllib.request
from dataclasses import dataclass, field
from datetime import datetime
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import asyncpg

from deploy.local.broker import Broker, start_broker
from deploy.local.postgres import EmbeddedPostgres, PostgresServer
from deploy.local.processes import Child, Command, Supervisor, free_port
from deploy.wechat_sandbox import settings as sandbox
from services.kernel.broker import TopicSpec, ensure_topics
from services.kernel.manifest import Service
from services.kernel.migrate import ROLES, ensure_roles, migrate
from services.kernel.settings import KernelSettings

PROJECT = Path(__file__).resolve().parents[2]
AUDIENCE = "keyline-local"
DATABASE = "keyline"


def environment_file(folder: Path, service: str) -> Path:
    """Where a running house says how its services are reached."""
    return folder / "environment" / f"{service}.env"


@dataclass(kw_only=True)
class House:
    """Everything below `folder`; a second start finds its data, its passwords and its clock again."""

    folder: Path
    services: tuple[str, ...]
    as_of: datetime | None = None
    followers: tuple[str, ...] = ()
    """Open ids that follow the sandbox's account from the start."""
    durable: bool = True
    children: Supervisor = field(default_factory=Supervisor)
    ports: dict[str, int] = field(default_factory=dict)
    postgres: PostgresServer | None = None
    broker: Broker | None = None
    _server: EmbeddedPostgres | None = None

    def __enter__(self) -> Self:
        try:
            self._open()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self.children.stop_all()
        for service in self.services:
            environment_file(self.folder, service).unlink(missing_ok=True)
        if self.broker is not None:
            self.broker.stop()
        if self._server is not None:
            self._server.stop()

    def _open(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._server = EmbeddedPostgres(
            folder=self.folder / "postgres", synchronous_commit="on" if self.durable else "off"
        )
        self.postgres = self._server.start()
        self.broker = start_broker(folder=self.folder, lib=PROJECT / "var" / "kafka" / "lib")
        for name in ("issuer", "sandbox", *self.services):
            self.ports[name] = free_port()
        asyncio.run(self._prepare_database())
        self._add_issuer()
        self._add_sandbox()
        for service in self.services:
            self.children.add(self.command_of(service))
        self.children.start_all()
        for service in self.services:
            self._write_environment(service)

    @property
    def admin_dsn(self) -> str:
        assert self.postgres is not None
        return f"{self.postgres.superuser_dsn.rsplit('/', 1)[0]}/{DATABASE}"

    @property
    def issuer(self) -> str:
        return f"http://127.0.0.1:{self.ports['issuer']}"

    @property
    def sandbox(self) -> str:
        return f"http://127.0.0.1:{self.ports['sandbox']}"

    def url(self, service: str) -> str:
        return f"http://127.0.0.1:{self.ports[service]}"

    def child(self, service: str) -> Child:
        return self.children[service]

    def token(self, person_id: str) -> str:
        """Sign in through the development issuer, as its page does."""
        request = urllib.request.Request(f"{self.issuer}/token?person_id={person_id}", method="POST")
        with urllib.request.urlopen(request, timeout=5) as answer:
            return str(json.load(answer)["access_token"])

    def secrets_folder(self) -> Path:
        """One random password file per login (0600), kept between starts."""
        folder = self.folder / "secrets"
        folder.mkdir(mode=0o700, exist_ok=True)
        for service in self.services:
            for role in ROLES:
                self._secret(folder / f"{service}_{role}")
        return folder

    def _secret(self, file: Path) -> str:
        if not file.is_file():
            file.touch(mode=0o600)
            file.write_text(secrets.token_urlsafe(24))
        return file.read_text()

    async def _prepare_database(self) -> None:
        assert self.postgres is not None
        admin = await asyncpg.connect(self.postgres.superuser_dsn)
        try:
            if not await admin.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", DATABASE):
                await admin.execute(f"CREATE DATABASE {DATABASE}")
        finally:
            await admin.close()
        folder = self.secrets_folder()
        settings = KernelSettings(
            environment="development",
            database_host=self.postgres.host,
            database_port=self.postgres.port,
            database_name=DATABASE,
            secrets_dir=folder,
        )
        manifests: list[Service] = [import_module(f"services.{name}.manifest").SERVICE for name in self.services]
        await self._topics_of_absent_producers(manifests)
        for name, service in zip(self.services, manifests, strict=True):
            passwords = {f"{name}_{role}": (folder / f"{name}_{role}").read_text() for role in ROLES}
            await ensure_roles(admin_dsn=self.admin_dsn, service=name, passwords=passwords)
            await migrate(service=service, settings=settings)

    async def _topics_of_absent_producers(self, manifests: list[Service]) -> None:
        """Services wait for the topics they hear; those whose producer is not in this house are made here."""
        assert self.broker is not None
        declared = {t.name for m in manifests for t in m.topics}
        heard = {t for m in manifests for t in (*m.single_topics, *(b.topic for b in m.bulk))}
        settings = KernelSettings(kafka_bootstrap_servers=self.broker.bootstrap_servers, broker_kind=self.broker.kind)
        await ensure_topics([TopicSpec(name=name) for name in sorted(heard - declared)], settings=settings)

    def environment(self, service: str) -> dict[str, str]:
        assert self.postgres is not None
        assert self.broker is not None
        found: dict[str, Any] = {
            "ENVIRONMENT": "development",
            "INSTANCE": f"{service}-1",
            "DATABASE_HOST": self.postgres.host,
            "DATABASE_PORT": self.postgres.port,
            "DATABASE_NAME": DATABASE,
            "SECRETS_DIR": self.folder / "secrets",
            "KAFKA_BOOTSTRAP_SERVERS": self.broker.bootstrap_servers,
            "BROKER_KIND": self.broker.kind,
            "SESSION_TIMEOUT_MS": 6000,
            "OIDC_ISSUER": self.issuer,
            "OIDC_AUDIENCE": AUDIENCE,
            "OIDC_JWKS_URL": f"{self.issuer}/jwks.json",
            "WECHAT_BASE_URL": self.sandbox,
            "WECHAT_APP_ID": sandbox.DEFAULT_APP_ID,
            "WECHAT_APP_SECRET": sandbox.DEFAULT_APP_SECRET,
            "WECHAT_CALLBACK_TOKEN": sandbox.DEFAULT_TOKEN,
            "WECHAT_ENCODING_AES_KEY": sandbox.DEFAULT_AES_KEY,
            "MASTER_KEY": self.key("master-key"),
            "PSEUDONYM_KEY": self.key("pseudonym-key"),
        }
        if self.as_of is not None:
            found |= {"AS_OF": self.as_of.isoformat(), "AS_OF_STARTED_AT": self.clock_started_at()}
        return {f"KEYLINE_{name}": str(value) for name, value in found.items()}

    def _write_environment(self, service: str) -> None:
        """For another process of the service beside this one; gone when the house closes."""
        file = environment_file(self.folder, service)
        file.parent.mkdir(mode=0o700, exist_ok=True)
        file.touch(mode=0o600)
        file.write_text("".join(f"{name}={value}\n" for name, value in self.environment(service).items()))

    def clock_started_at(self) -> float:
        """Epoch seconds at which the house's clock stood at `as_of`; kept, so that time goes on after a restart."""
        file = self.folder / "clock"
        if not file.is_file():
            file.write_text(str(time.time()))
        return float(file.read_text())

    def command_of(self, service: str) -> Command:
        return Command(
            name=service,
            argv=[sys.executable, "-m", f"services.{service}", "serve", "--port", str(self.ports[service])],
            log_path=self.folder / "log" / f"{service}.log",
            env=self.environment(service),
            cwd=PROJECT,
            ready_url=f"{self.url(service)}/readyz",
            ready_timeout_s=90,
        )

    def _add_issuer(self) -> None:
        self.children.add(
            Command(
                name="issuer",
                argv=[
                    *(sys.executable, "-m", "services.kernel.auth.dev_issuer", "--port", str(self.ports["issuer"])),
                    *("--key-file", str(self.folder / "issuer-key.json")),
                ],
                log_path=self.folder / "log" / "issuer.log",
                env={
                    "KEYLINE_ENVIRONMENT": "development",
                    "KEYLINE_OIDC_ISSUER": self.issuer,
                    "KEYLINE_OIDC_AUDIENCE": AUDIENCE,
                },
                cwd=PROJECT,
                ready_url=f"{self.issuer}/jwks.json",
            )
        )

    def _sandbox_clock(self) -> list[str]:
        if self.as_of is None:
            return []
        return ["--as-of", self.as_of.isoformat(), "--as-of-started-at", str(self.clock_started_at())]

    def key(self, name: str) -> str:
        """32 random bytes as base64, kept between starts."""
        file = self.folder / name
        if not file.is_file():
            file.touch(mode=0o600)
            file.write_text(base64.b64encode(secrets.token_bytes(32)).decode())
        return file.read_text()

    def _add_sandbox(self) -> None:
        if "notify" not in self.services:
            return
        lists = {
            "followers": [{"openid": openid, "nickname": openid.removeprefix("openid_")} for openid in self.followers],
            "templates": import_module("services.notify.templates.texts").registered_templates(),
        }
        for name, entries in lists.items():
            (self.folder / f"{name}.json").write_text(json.dumps({name: entries}, ensure_ascii=False))
        self.children.add(
            Command(
                name="sandbox",
                argv=[
                    *(sys.executable, "-m", "deploy.wechat_sandbox", "--port", str(self.ports["sandbox"])),
                    *("--log", str(self.folder / "log" / "wechat-messages.jsonl")),
                    *("--followers", str(self.folder / "followers.json")),
                    *("--templates", str(self.folder / "templates.json")),
                    *("--callback-url", f"{self.url('notify')}/notify/v1/wechat/callback"),
                    *self._sandbox_clock(),
                ],
                log_path=self.folder / "log" / "sandbox.log",
                cwd=PROJECT,
                ready_url=f"{self.sandbox}/sandbox/messages",
            )
        )
