from collections.abc import AsyncIterator, Iterator

import aiohttp
import pytest

from deploy.wechat_sandbox.behaviour import Behaviour
from tests.integration.wechat.house import (
    TEMPLATE,
    Receiver,
    Sandbox,
    SandboxProcess,
    receiver_server,
    sandbox_process,
)


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    started = sandbox_process(folder=tmp_path_factory.mktemp("wechat"))
    try:
        started.child.start()
        started.child.wait_ready()
        yield started
    finally:
        started.child.stop()


@pytest.fixture
async def sandbox(process: SandboxProcess) -> AsyncIterator[Sandbox]:
    """One process for all tests of a module: each has its own people, and settings as at the start."""
    if not process.child.alive:
        process.child.restart()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as session:
        opened = Sandbox(process, session)
        await opened.call("DELETE", "/sandbox/faults")
        await opened.call("POST", "/sandbox/clock", {"frozen": False})
        # The clock has been moved by earlier tests; the receiver's has not.
        await opened.behave(**(Behaviour().model_dump() | {"push_time": "wall", "push_retry_gap_s": 0.05}))
        await opened.call("POST", "/sandbox/templates", {"templates": [TEMPLATE]})
        yield opened


@pytest.fixture
async def receiver(sandbox: Sandbox) -> AsyncIterator[Receiver]:
    async with receiver_server() as running:
        await sandbox.behave(callback_url=running.url, receipt_delay_s=0.0)
        yield running
