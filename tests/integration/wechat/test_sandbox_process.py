"""The sandbox as a process: what survives a kill, and what it refuses to run beside."""

import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from deploy.local.processes import free_port
from services.notify.adapters.wechat.client import Accepted, WechatClient
from services.notify.adapters.wechat.errors import WechatUnreachable
from services.notify.adapters.wechat.messages import TemplateMessage
from tests.integration.wechat.house import PROJECT, TEMPLATE, Sandbox, sandbox_process, template_message


async def test_after_a_kill_the_log_goes_on_without_repeating_numbers_or_messages(sandbox: Sandbox) -> None:
    openid = await sandbox.follow("o-restart")
    fresh = sandbox_process(folder=sandbox.process.log.parent / "restart")
    fresh.child.start()
    fresh.child.wait_ready()
    try:
        again = Sandbox(fresh, sandbox.session)
        await _furnish(again, openid)
        async with again.client() as client:
            first = await client.send_template(message=template_message(openid, id_="kept"))
            fresh.child.kill()
            with fresh.log.open("ab") as log:
                log.write(b'{"seq": 2, "openid": "o-res')
            fresh.child.start()
            fresh.child.wait_ready()
            await _furnish(again, openid)
            assert await _until_certain(client, template_message(openid, id_="kept")) == first
            second = await client.send_template(message=template_message(openid, id_="new"))
        assert second.msgid != first.msgid
        assert [m["client_msg_id"] for m in await again.seen(openid)] == ["kept", "new"]
    finally:
        fresh.child.stop()


async def _until_certain(client: WechatClient, message: TemplateMessage) -> Accepted:
    """As a sender does: a connection that died with the server leaves doubt, the same id settles it."""
    while True:
        try:
            return await client.send_template(message=message)
        except WechatUnreachable:
            continue


async def _furnish(sandbox: Sandbox, openid: str) -> None:
    await sandbox.follow(openid)
    await sandbox.call("POST", "/sandbox/templates", {"templates": [TEMPLATE]})


async def test_a_demo_clock_goes_on_after_a_restart(sandbox: Sandbox, tmp_path: Path) -> None:
    as_of, ago_s = datetime(2014, 12, 31, 16, tzinfo=UTC), 3600.0
    options = ["--as-of", as_of.isoformat(), "--as-of-started-at", str(time.time() - ago_s)]
    demo = sandbox_process(folder=tmp_path, options=options)
    try:
        demo.child.restart()
        shown = (await Sandbox(demo, sandbox.session).call("GET", "/sandbox/clock"))["now"]
        assert timedelta(0) <= datetime.fromisoformat(shown) - as_of - timedelta(seconds=ago_s) < timedelta(minutes=1)
    finally:
        demo.child.stop()


@pytest.mark.parametrize("name", ["WECHAT_APP_SECRET", "KEYLINE_WECHAT_APP_SECRET", "WECHAT_ENCODING_AES_KEY"])
def test_it_refuses_to_start_beside_a_real_secret_and_does_not_print_it(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "0123456789abcdef")
    argv = [sys.executable, "-m", "deploy.wechat_sandbox", "--port", str(free_port()), "--log", f"{tmp_path}/log"]
    ended = subprocess.run(argv, cwd=PROJECT, capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode == 2
    assert name in ended.stderr
    assert "0123456789abcdef" not in ended.stderr + ended.stdout
