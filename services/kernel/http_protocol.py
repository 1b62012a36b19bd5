"""Requests and answers on the wire: httptools, with the bound on heads that it lacks, and answers sent in one piece."""

import asyncio
from typing import Any, cast

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST_HEAD_BYTES = 65_536
"""Request line and headers; what h11 takes before it answers 400."""


class HouseProtocol(HttpToolsProtocol):
    """Answers 400 and closes when a head is larger than `MOST_HEAD_BYTES`, also when it never ends."""

    _head_bytes = 0
    _in_body = False
    _beyond_a_head = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(cast(asyncio.Transport, transport))
        self.transport = cast(asyncio.Transport, _OnePiece(self.transport, self.loop))

    def data_received(self, data: bytes) -> None:
        self._beyond_a_head = self._in_body
        super().data_received(data)
        # What follows a whole head in one piece is not counted; the transport's pieces are bounded.
        self._head_bytes = 0 if self._beyond_a_head else self._head_bytes + len(data)
        if self._head_bytes > MOST_HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response("The request's head is too large.")

    def on_headers_complete(self) -> None:
        if sum(len(name) + len(value) for name, value in self.headers) + len(self.url) > MOST_HEAD_BYTES:
            raise httptools.HttpParserError("the head is too large")
        self._in_body = self._beyond_a_head = True
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._in_body = False
        super().on_message_complete()


class _OnePiece:
    """A transport that holds a first write until a second one comes or the loop turns.

    uvicorn writes head and body apart: two calls of the system, two packets, and a client woken twice.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._held = b""

    def write(self, data: bytes) -> None:
        if self._held:
            held, self._held = self._held, b""
            self._transport.write(held + data)
        elif data:
            self._held = data
            self._loop.call_soon(self._let_go)

    def close(self) -> None:
        self._let_go()
        self._transport.close()

    def _let_go(self) -> None:
        if self._held:
            held, self._held = self._held, b""
            self._transport.write(held)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
