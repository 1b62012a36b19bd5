"""Postgres 18 and the broker of a run: started when first asked for, shared by its benchmarks, gone afterwards."""

import secrets
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

import asyncpg

from deploy.local.broker import Broker, start_broker
from deploy.local.postgres import EmbeddedPostgres, PostgresServer
from services.kernel.manifest import Service
from services.kernel.migrate import ROLES, ensure_roles, migrate
from services.kernel.settings import KernelSettings

PROJECT = Path(__file__).resolve().parents[1]


class Stack:
    """Durable settings throughout: `fsync` and `synchronous_commit` stay on."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="keyline-bench-")
        self.folder = Path(self._folder.name)
        self.folder.chmod(0o755)  # Postgres may run as another user
        self.password = secrets.token_urlsafe(16)
        self._server: EmbeddedPostgres | None = None
        self._postgres: PostgresServer | None = None
        self._broker: Broker | None = None

    @property
    def postgres(self) -> PostgresServer:
        if self._postgres is None:
            self._server = EmbeddedPostgres(folder=self.folder / "postgres")
            self._postgres = self._server.start()
        return self._postgres

    @property
    def broker(self) -> Broker:
        """Apache Kafka where Java is there; the rows say which broker it was."""
        if self._broker is None:
            self._broker = start_broker(folder=self.folder, lib=PROJECT / "var" / "kafka" / "lib")
        return self._broker

    @property
    def broker_kind(self) -> str | None:
        """Of the broker that was used; None if none was."""
        return self._broker.kind if self._broker is not None else None

    def dsn(self, database: str) -> str:
        """As superuser, for preparing and for looking; what is measured signs in as the service does."""
        return f"{self.postgres.superuser_dsn.rsplit('/', 1)[0]}/{database}"

    async def new_database(self, name: str) -> str:
        """An empty database in place of any of that name; its DSN."""
        admin = await asyncpg.connect(self.postgres.superuser_dsn)
        try:
            await admin.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
            await admin.execute(f'CREATE DATABASE "{name}"')
        finally:
            await admin.close()
        return self.dsn(name)

    async def install(self, service: Service, *, database: str, broker: bool = True) -> KernelSettings:
        """The service's real schema with its logins, rights and policies, in a new database; its settings.

        `settings.database_url(service=..., role=...)` signs in as the service. Children of this run get the same
        settings from `environment`.
        """
        dsn = await self.new_database(database)
        passwords = {f"{service.name}_{role}": self.password for role in ROLES}
        await ensure_roles(admin_dsn=dsn, service=service.name, passwords=passwords)
        settings = KernelSettings(
            environment="test",
            instance="bench",
            database_host=self.postgres.host,
            database_port=self.postgres.port,
            database_name=database,
            database_password=self.password,
            kafka_bootstrap_servers=self.broker.bootstrap_servers if broker else "127.0.0.1:1",
            broker_kind=self.broker.kind if broker else "kafka",
            topic_prefix=f"{database}-",
        )
        await migrate(service=service, settings=settings)
        return settings

    def environment(self, settings: KernelSettings) -> dict[str, str]:
        """`KEYLINE_*` for a child process that reads the same settings."""
        found = settings.model_dump(mode="json", exclude_none=True, exclude={"database_password", "secrets_dir"})
        texts = {f"KEYLINE_{name.upper()}": str(value) for name, value in found.items()}
        return {**texts, "KEYLINE_DATABASE_PASSWORD": self.password}

    def close(self) -> None:
        if self._broker is not None:
            self._broker.stop()
        if self._server is not None:
            self._server.stop()
        self._folder.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()
