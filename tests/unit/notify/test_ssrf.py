"""Forty ways to point a webhook at the inside: none is reached, and what is checked is what is called."""

import asyncio
import json
from datetime import UTC, datetime
from uuid import UUID

import aiohttp
import pytest
from aiohttp import web

from services.notify.adapters.port import ChannelError, Outgoing
from services.notify.adapters.ssrf import PinnedResolver, RefusedAddress, check, is_public
from services.notify.adapters.webhook import Webhook
from services.notify.delivery.endpoints import new_secret
from services.notify.rules.retries import FailureKind

INSIDE = [
    "http://127.0.0.1/", "https://127.0.0.1/", "https://localhost/", "https://localhost./", "https://2130706433/",
    "https://0x7f000001/", "https://0177.0.0.1/", "https://0x7f.0.0.1/", "https://127.1/", "https://127.0.1/",
    "https://0/", "https://0.0.0.0/", "https://[::]/", "https://[::1]/", "https://[::ffff:127.0.0.1]/",
    "https://[::ffff:7f00:1]/", "https://[0:0:0:0:0:ffff:10.0.0.1]/", "https://[64:ff9b::7f00:1]/",
    "https://[2002:7f00:1::]/", "https://[fc00::1]/", "https://[fe80::1]/", "https://[fe80::1%25eth0]/",
    "https://10.0.0.1/", "https://172.16.0.1/", "https://192.168.1.1/", "https://169.254.169.254/latest/meta-data/",
    "https://100.64.0.1/", "https://198.18.0.1/", "https://224.0.0.1/", "https://255.255.255.255/",
    "https://user@example.com/", "https://user:pass@127.0.0.1/", "https://example.com@127.0.0.1/",
    "https://127.0.0.1#@example.com/", "https://example.com\\@127.0.0.1/", "https://example.com:22/",
    "https://example.com:80/", "ftp://example.com/", "file:///etc/passwd", "gopher://127.0.0.1:6379/_x",
    "https:///", "https://127.0.0.1.nip.example:443/", "https://inside.example/", "https://mixed.example/",
    "https://①②⑦.0.0.1/", "https://exa mple.com/", "https://127。0。0。1/", "//127.0.0.1/", "https://[::127.0.0.1]/",
    "https://[64:ff9b:1::a00:1]/",
]  # fmt: skip
NAMES = {
    "127.0.0.1.nip.example": ["127.0.0.1"], "inside.example": ["10.1.2.3"], "localhost": ["127.0.0.1"],
    "mixed.example": ["93.184.216.34", "192.168.0.1"], "example.com": ["93.184.216.34"],
}  # fmt: skip


async def lookup(host: str, port: int) -> list[str]:
    return NAMES.get(host, [])


@pytest.mark.parametrize("url", INSIDE)
async def test_an_address_that_leads_inside_is_refused(url: str) -> None:
    with pytest.raises(RefusedAddress):
        await check(url, lookup=lookup)


async def test_a_public_address_passes_and_stays_pinned_to_what_was_checked() -> None:
    pinned = await check("https://example.com/hook?x=1", lookup=lookup)
    assert pinned.addresses == ("93.184.216.34",)
    resolver = PinnedResolver(pinned)
    assert [r["host"] for r in await resolver.resolve("example.com", 443)] == ["93.184.216.34"]
    with pytest.raises(OSError, match="another name"):
        await resolver.resolve("localhost", 443)


async def test_a_name_that_changes_its_mind_is_asked_once_and_the_inside_is_not_reached() -> None:
    """DNS rebinding: public at the check, the inside afterwards."""
    answers = [["93.184.216.34"], ["127.0.0.1"]]
    asked = 0

    async def rebinding(host: str, port: int) -> list[str]:
        nonlocal asked
        asked += 1
        return answers[min(asked, 2) - 1]

    pinned = await check("https://rebind.example/", lookup=rebinding)
    assert asked == 1 and pinned.addresses == ("93.184.216.34",)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700:4700::1111"])
def test_public_addresses_are_told_from_others(address: str) -> None:
    assert is_public(address)


def outgoing(url: str) -> Outgoing:
    at = datetime(2026, 7, 1, tzinfo=UTC)
    return Outgoing(
        delivery_id=UUID(int=1), message_id="M", address=json.dumps({"url": url, "secrets": [new_secret()]}),
        template_id="T", fields={}, title="t", body="b", event_class="fault-outage", created_at=at, sent_at=at,
    )  # fmt: skip


async def serve(handler: object, hits: list[str]) -> tuple[web.AppRunner, str]:
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", handler)  # type: ignore[arg-type]
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return runner, f"http://127.0.0.1:{runner.addresses[0][1]}"


async def test_redirects_are_not_followed_long_answers_are_cut_and_slow_ones_end_in_three_seconds() -> None:
    hits: list[str] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        hits.append(request.path)
        if request.path == "/redirect":
            return web.Response(status=302, headers={"Location": "/inside"})
        if request.path == "/long":
            return web.Response(body=b"x" * (64 * 1024 + 1))
        if request.path == "/slow":
            await asyncio.sleep(5)
        return web.Response(status=int(request.path.rpartition("/")[2] or 200))

    runner, base = await serve(handler, hits)
    hook = Webhook(now=lambda: datetime.now(UTC), loopback=True)
    try:
        assert (await hook.send(outgoing(f"{base}/200"))).delivered
        kinds = {}
        for path in ("redirect", "long", "slow", "410", "404", "429", "503"):
            with pytest.raises(ChannelError) as refused:
                await hook.send(outgoing(f"{base}/{path}"))
            kinds[path] = (refused.value.kind, refused.value.ambiguous)
    finally:
        await runner.cleanup()
    assert "/inside" not in hits
    assert kinds == {
        "redirect": (FailureKind.CONTENT, False), "long": (FailureKind.TRANSIENT, True),
        "slow": (FailureKind.TRANSIENT, True), "410": (FailureKind.RECIPIENT, False),
        "404": (FailureKind.CONTENT, False), "429": (FailureKind.TRANSIENT, False),
        "503": (FailureKind.TRANSIENT, False),
    }  # fmt: skip


async def test_no_form_of_an_inside_address_reaches_a_server_that_listens_there() -> None:
    hits: list[str] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        hits.append(request.path)
        return web.Response()

    runner, base = await serve(handler, hits)
    port = base.rpartition(":")[2]
    hook = Webhook(now=lambda: datetime.now(UTC), lookup=lookup)
    try:
        for form in ("127.0.0.1", "localhost", "2130706433", "0x7f.1", "127.1", "[::ffff:127.0.0.1]", "0"):
            for scheme in ("http", "https"):
                with pytest.raises(ChannelError):
                    await hook.send(outgoing(f"{scheme}://{form}:{port}/"))
        async with aiohttp.ClientSession() as session, session.get(base) as answer:
            assert answer.status == 200  # it does listen
    finally:
        await runner.cleanup()
    assert hits == ["/"]
