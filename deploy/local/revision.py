"""`python -m deploy.local.revision SERVICE MESSAGE [TABLE...]`: writes the next migration of a service from its tables.

With tables named, the revision holds those alone: a large change is written as several revisions, one per aggregate.
"""

import argparse
import asyncio
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path

from alembic import command
from alembic.operations.ops import MigrationScript
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from deploy.local.house import PROJECT
from deploy.local.postgres import EmbeddedPostgres
from deploy.local.revision_text import revision_text
from services.kernel.manifest import Service
from services.kernel.migrate import ROLES, as_migrator, attached, ensure_roles
from services.kernel.settings import KernelSettings

MOST_LINES = 400
"""`make lint` refuses longer files."""


def next_revision(connection: Connection, *, service: Service, message: str, tables: frozenset[str]) -> tuple[str, str]:
    """Its id and text, from the difference between the migrated schema and the tables; the schema has to be empty."""
    config = attached(connection, service)
    command.upgrade(config, "head")
    script = ScriptDirectory.from_config(config)
    parent = script.get_current_head()
    number = len(list(script.walk_revisions())) + 1
    written: list[str] = []

    def keep(context: MigrationContext, _: str | Iterable[str | None], found: list[MigrationScript]) -> None:
        written.append(revision_text(found[0], context=context, message=message, parent=parent))
        found.clear()  # alembic writes no file of its own

    config.attributes["tables"] = tables
    revision = f"{service.name}_{number:04}"
    command.revision(config, message, autogenerate=True, rev_id=revision, process_revision_directives=keep)
    return revision, written[0]


async def _write(
    service: Service, *, admin_dsn: str, settings: KernelSettings, message: str, tables: frozenset[str]
) -> tuple[str, str]:
    assert settings.database_password is not None
    password = settings.database_password.get_secret_value()
    logins = {f"{service.name}_{role}": password for role in ROLES}
    await ensure_roles(admin_dsn=admin_dsn, service=service.name, passwords=logins)

    def make(connection: Connection) -> tuple[str, str]:
        return next_revision(connection, service=service, message=message, tables=tables)

    return await as_migrator(service=service, settings=settings, do=make)


def place(*, service: str, revision: str, message: str, text: str) -> Path:
    """Writes the formatted file. Raises `SystemExit` when it is too long."""
    words = "".join(c if c.isascii() and c.isalnum() else " " for c in message.lower()).split()
    slug = "_".join(words[:8])
    file = PROJECT / f"services/{service}/migrations/{revision.removeprefix(service + '_')}_{slug}.py"
    file.write_text(text, encoding="utf-8")
    for step in (["check", "--quiet", "--fix", "--select", "I"], ["format", "--quiet"]):
        subprocess.run([sys.executable, "-m", "ruff", *step, str(file)], check=True)
    lines = len(file.read_text(encoding="utf-8").splitlines())
    if lines > MOST_LINES:
        file.unlink()
        raise SystemExit(
            f"{lines} 行，超过 {MOST_LINES} 行：请用 TABLES 分几次编写。"
            f" {lines} lines, more than {MOST_LINES}: write it in parts, naming TABLES."
        )
    return file


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m deploy.local.revision")
    parser.add_argument("service", choices=["inspection", "outage", "portrait", "notify"])
    parser.add_argument("message")
    parser.add_argument("tables", nargs="*")
    given = parser.parse_args()
    service: Service = import_module(f"services.{given.service}.manifest").SERVICE
    tables = frozenset(given.tables)
    if unknown := sorted(tables - {t.name for t in service.metadata.tables.values()}):
        raise SystemExit(f"没有这些表 No such tables: {', '.join(unknown)}")
    (PROJECT / f"services/{given.service}/migrations").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        server = EmbeddedPostgres(folder=Path(folder), synchronous_commit="off")
        try:
            running = server.start()
            settings = KernelSettings(
                environment="development",
                database_host=running.host,
                database_port=running.port,
                database_name="postgres",
                database_password=secrets.token_urlsafe(),
            )
            written = _write(
                service, admin_dsn=running.superuser_dsn, settings=settings, message=given.message, tables=tables
            )
            revision, text = asyncio.run(written)
        finally:
            server.discard()
    print(place(service=given.service, revision=revision, message=given.message, text=text).relative_to(PROJECT))


if __name__ == "__main__":
    main()
