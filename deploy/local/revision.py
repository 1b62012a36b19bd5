"""`python -m deploy.local.revision SERVICE MESSAGE`: writes the next migration of a service from its tables."""

import asyncio
import secrets
import sys
import tempfile
from importlib import import_module
from pathlib import Path

from deploy.local.postgres import EmbeddedPostgres
from services.kernel.manifest import Service
from services.kernel.migrate import ROLES, ensure_roles, write_revision
from services.kernel.settings import KernelSettings


async def _write(service: Service, *, admin_dsn: str, settings: KernelSettings, message: str) -> str:
    assert settings.database_password is not None
    password = settings.database_password.get_secret_value()
    logins = {f"{service.name}_{role}": password for role in ROLES}
    await ensure_roles(admin_dsn=admin_dsn, service=service.name, passwords=logins)
    return await write_revision(service=service, settings=settings, message=message)


def main() -> None:
    name, message = sys.argv[1:]
    service: Service = import_module(f"services.{name}.manifest").SERVICE
    Path(f"services/{name}/migrations").mkdir(exist_ok=True)
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
            written = _write(service, admin_dsn=running.superuser_dsn, settings=settings, message=message)
            print(asyncio.run(written))
        finally:
            server.stop()


if __name__ == "__main__":
    main()
