"""A hot read on the wire: answered before the framework, with the manners of any other answer."""

import asyncio
import json

from deploy.local.processes import free_port
from services.kernel.app import build_app
from tests.access.house import SERVICES, Street, Town
from tests.access.rows import MINE, THEIRS
from tests.listening import listening

PATH = "/portrait/v1/customers"


def _request(street: Street, customer: str, *more: str, version: str = "1.1", method: str = "GET") -> bytes:
    lines = (f"{method} {PATH}/{customer} HTTP/{version}", "Host: a", f"Authorization: Bearer {street.token('head')}")
    return "\r\n".join([*lines, *more, "", ""]).encode()


async def _answer(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], bytes]:
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    return int(first.split()[1]), headers, await reader.readexactly(int(headers["content-length"]))


async def _connected(url: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, port = url.removeprefix("http://").split(":")
    return await asyncio.open_connection(host, int(port))


async def test_what_is_asked_in_a_row_is_answered_in_that_row(street: Street) -> None:
    """Before the framework and inside it by turns, in one piece, in single bytes, with a body that nobody reads."""
    await street.town.grant("portrait", "head", "department-head", kind="everything")
    reader, writer = await _connected(street.url)
    asked = [MINE, THEIRS, f"{MINE}?seen=twice", THEIRS, "C-unknown", MINE, f"{THEIRS}?seen=twice", MINE] * 5
    writer.write(b"".join(_request(street, customer) for customer in asked))
    for customer in asked:
        status, _, body = await asyncio.wait_for(_answer(reader), 10)
        owner = json.loads(body).get("customer_id")
        assert (status, owner) == ((404, None) if customer == "C-unknown" else (200, customer.partition("?")[0]))
    for byte in _request(street, MINE):
        writer.write(bytes([byte]))
        await writer.drain()
    assert (await asyncio.wait_for(_answer(reader), 10))[0] == 200
    writer.write(_request(street, MINE, "Content-Length: 5") + b"hello" + _request(street, THEIRS))
    bodies = [json.loads((await asyncio.wait_for(_answer(reader), 10))[2]) for _ in range(2)]
    assert [b["customer_id"] for b in bodies] == [MINE, THEIRS]
    writer.close()


async def test_the_connection_ends_when_the_caller_says_so(street: Street) -> None:
    await street.town.grant("portrait", "head", "department-head", kind="everything")
    last = [_request(street, MINE, "Connection: close"), _request(street, MINE, version="1.0")]
    for request in (*last, *[r.replace(MINE.encode(), MINE.encode() + b"?seen=twice") for r in last]):
        reader, writer = await _connected(street.url)
        writer.write(request)
        status, headers, _ = await asyncio.wait_for(_answer(reader), 10)
        assert (status, headers["connection"]) == (200, "close")
        assert await asyncio.wait_for(reader.read(), 10) == b""
        writer.close()
    reader, writer = await _connected(street.url)
    writer.write(_request(street, MINE, method="HEAD"))
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
    assert head.startswith(b"HTTP/1.1 405")
    writer.close()


async def test_a_server_that_stops_answers_what_it_has_begun(street: Street, town: Town) -> None:
    await town.grant("portrait", "head", "department-head", kind="everything")
    port, admin = free_port(), await town.admin()
    keys = {"oidc_issuer": street.issuer, "oidc_jwks_url": f"{street.issuer}/jwks.json"}
    app = build_app([SERVICES["portrait"]], settings=town.settings.model_copy(update=keys), role="api")
    serving = listening(app, port)
    await serving.__aenter__()
    held = admin.transaction()
    await held.start()
    await admin.execute("LOCK TABLE portrait.access_grant IN ACCESS EXCLUSIVE MODE")
    reader, writer = await _connected(f"http://127.0.0.1:{port}")
    writer.write(_request(street, MINE))
    await asyncio.sleep(0.3)
    stopping = asyncio.create_task(serving.__aexit__(None, None, None))
    await asyncio.sleep(0.3)
    assert not stopping.done()
    await held.rollback()
    status, headers, body = await asyncio.wait_for(_answer(reader), 10)
    assert (status, headers["connection"], json.loads(body)["customer_id"]) == (200, "close", MINE)
    await asyncio.wait_for(stopping, 10)
    writer.close()
    await admin.close()
