"""What the parser of requests takes, by bytes on a socket."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
import uvicorn

from deploy.local.processes import free_port
from services.kernel.http_protocol import MOST_HEAD_BYTES, HouseProtocol


async def _echo(scope: Any, receive: Any, send: Any) -> None:
    """Answers with the length of the body."""
    if scope["type"] != "http":
        return
    length, more = 0, True
    while more:
        message = await receive()
        length, more = length + len(message.get("body", b"")), message.get("more_body", False)
    said = str(length).encode()
    headers = [(b"content-length", str(len(said)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": said})


@pytest.fixture
async def port() -> AsyncIterator[int]:
    found = free_port()
    config = uvicorn.Config(_echo, port=found, http=HouseProtocol, log_level="error", lifespan="off")
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - it has no event to wait for
        await asyncio.sleep(0.02)
    yield found
    server.should_exit = True
    await task


async def _told(port: int, *parts: bytes) -> bytes:
    """Everything that is answered until the server closes or says nothing more."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    async def read() -> bytes:
        told = b""
        with contextlib.suppress(TimeoutError, ConnectionError):
            while more := await asyncio.wait_for(reader.read(65_536), timeout=0.5):
                told += more
        return told

    reading = asyncio.create_task(read())
    for part in parts:
        with contextlib.suppress(ConnectionError):
            writer.write(part)
            await writer.drain()
        await asyncio.sleep(0.05)
    told = await reading
    writer.close()
    return told


async def test_a_head_beyond_the_bound_is_refused_in_one_piece_and_in_many(port: int) -> None:
    line = b"GET / HTTP/1.1\r\nhost: a\r\n"
    whole = line + b"x-long: " + b"a" * MOST_HEAD_BYTES + b"\r\n\r\n"
    assert (await _told(port, whole)).startswith(b"HTTP/1.1 400")
    # The server closes while the client still writes, which may cost it the answer.
    assert (await _told(port, line + b"x-long: " + b"a" * 2_000_000 + b"\r\n\r\n"))[:12] in {b"", b"HTTP/1.1 400"}
    drops = [b"x-%d: " % n + b"a" * 8_000 + b"\r\n" for n in range(12)]
    assert (await _told(port, line, *drops)).startswith(b"HTTP/1.1 400"), "a head that never ends"
    url = b"GET /" + b"a" * MOST_HEAD_BYTES + b" HTTP/1.1\r\nhost: a\r\n\r\n"
    assert (await _told(port, url)).startswith(b"HTTP/1.1 400")


async def test_bodies_and_later_requests_are_not_counted_as_head(port: int) -> None:
    body = b"b" * 400_000
    post = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n" % len(body)
    get = b"GET / HTTP/1.1\r\nhost: a\r\nx-some: " + b"a" * 30_000 + b"\r\n\r\n"
    assert (await _told(port, post + body)).endswith(b"400000")
    told = await _told(port, post, body, get, get, get, post + body, get)
    assert (told.count(b"HTTP/1.1 200"), told.count(b"HTTP/1.1 400")) == (6, 0)
