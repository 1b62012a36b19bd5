import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from deploy.local.processes import Child, Command
from tests.conftest import PROJECT, Stack
from tests.kernel.house import AUDIENCE, EchoHouse, open_house


@pytest.fixture
async def idle(stack: Stack, tmp_path: Path) -> AsyncIterator[EchoHouse]:
    """A migrated database and topics' prefix; the test starts the service itself."""
    house = await open_house(stack, tmp_path)
    try:
        yield house
    finally:
        if house.child is not None:
            house.child.kill()


@pytest.fixture
async def echo(idle: EchoHouse) -> EchoHouse:
    idle.start().wait_ready()
    return idle


@pytest.fixture
async def signed(echo: EchoHouse, tmp_path: Path) -> AsyncIterator[EchoHouse]:
    """The running service with the development issuer beside it."""
    issuer = Child(
        Command(
            name="issuer",
            argv=[
                sys.executable, "-m", "services.kernel.auth.dev_issuer",
                "--port", str(echo.issuer_port), "--key-file", str(tmp_path / "issuer.json"),
            ],
            log_path=tmp_path / "issuer.log",
            env={"KEYLINE_ENVIRONMENT": "test", "KEYLINE_OIDC_ISSUER": echo.issuer, "KEYLINE_OIDC_AUDIENCE": AUDIENCE},
            cwd=PROJECT,
            ready_url=f"{echo.issuer}/jwks.json",
            ready_timeout_s=30,
        )
    )  # fmt: skip
    issuer.start()
    issuer.wait_ready()
    try:
        yield echo
    finally:
        issuer.kill()
