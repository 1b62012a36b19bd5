from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.kernel.auth.dev_issuer import build_issuer
from tests.conftest import Stack
from tests.kernel.house import AUDIENCE, EchoHouse, open_house
from tests.listening import listening


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
async def signed(echo: EchoHouse) -> AsyncIterator[EchoHouse]:
    """The running service with the development issuer beside it."""
    issuer = build_issuer(key=echo.key, issuer=echo.issuer, audience=AUDIENCE, environment="test")
    async with listening(issuer, echo.issuer_port):
        yield echo
