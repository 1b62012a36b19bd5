"""Requests and answers on the wire: httptools, with the bound on heads that it lacks, and answers sent in one piece.

A plain request of a hot route is answered here, before anything of the framework is built for it.
"""

import asyncio
from typing import Any, cast

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from services.kernel.hot_routes import HotRequest, HotRoutes
from services.kernel.house_headers import HOUSE_HEADERS, traceparent

MOST_HEAD_BYTES = 65_536
"""Request line and headers; what h11 takes before it answers 400."""
_OUT_OF_THE_ORDINARY = frozenset({b"content-length", b"transfer-encoding", b"expect", b"upgrade"})
_Headers = list[tuple[bytes, bytes]]


class HouseProtocol(HttpToolsProtocol):
    """Answers 400 and closes when a head is larger than `MOST_HEAD_BYTES`, also when it never ends."""

    _head_bytes = 0
    _in_body = False
    _beyond_a_head = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._hot_routes: HotRoutes | None = getattr(getattr(self.config.app, "state", None), "hot_routes", None)

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
        size = len(self.url)
        for name, value in self.headers:
            size += len(name) + len(value)
        if size > MOST_HEAD_BYTES:
            raise httptools.HttpParserError("the head is too large")
        self._in_body = self._beyond_a_head = True
        if (request := self._plain_and_hot()) is not None:
            self.cycle = cast(RequestResponseCycle, _HotCycle(self, request))
        else:
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._in_body = False
        if isinstance(self.cycle, _HotCycle) and not self.cycle.begun:
            self.cycle.begin()
        else:
            super().on_message_complete()

    def _plain_and_hot(self) -> HotRequest | None:
        """None for what the framework answers: every other route, and whatever is out of the ordinary."""
        found = self._hot_routes.plain(self.url) if self._hot_routes is not None else None
        if (
            found is None
            or self.parser.get_method() != b"GET"
            or self.root_path
            or self.flow.write_paused
            or (self.cycle is not None and not self.cycle.response_complete)
            or any(name in _OUT_OF_THE_ORDINARY for name, _ in self.headers)
            or (
                self.limit_concurrency is not None
                and max(len(self.connections), len(self.tasks)) >= self.limit_concurrency
            )
        ):
            return None
        reader, owner = found
        return HotRequest(
            reader=reader,
            owner=owner,
            path=self.url.decode("ascii"),
            headers=self.headers,
            traceparent=traceparent(self.headers),
        )


class _HotCycle:
    """What the protocol asks of a request that is being answered, without the framework's way of answering it.

    A request that comes on the connection meanwhile is queued by the protocol as behind any other.
    """

    class _Nobody:
        """Nobody waits for more of the request."""

        def set(self) -> None:
            pass

    message_event = _Nobody()

    def __init__(self, protocol: HouseProtocol, request: HotRequest) -> None:
        self._protocol = protocol
        self._request = request
        self.keep_alive: bool = protocol.parser.get_http_version() != "1.0" and protocol.parser.should_keep_alive()
        self.begun = self.response_complete = self.disconnected = False
        self.more_body = True
        self.body = bytearray()

    def begin(self) -> None:
        self.begun = True
        self.more_body = False
        task = self._protocol.loop.create_task(self._answer())
        task.add_done_callback(self._protocol.tasks.discard)
        self._protocol.tasks.add(task)

    async def _answer(self) -> None:
        try:
            answer = await self._request.answer()
        except BaseException:
            # The server gave up waiting for its requests.
            self._protocol.transport.close()
            raise
        if self.disconnected:
            return
        head = _head(self._protocol.server_state.default_headers) if answer.status == 200 else None
        lines = [
            head or _lines(answer.status, self._protocol.server_state.default_headers),
            b"".join([b"%b: %b\r\n" % header for header in answer.headers]),
            b"\r\n" if self.keep_alive else b"connection: close\r\n\r\n",
            answer.body,
        ]
        self.response_complete = True
        cast(_OnePiece, self._protocol.transport).write_whole(b"".join(lines))
        if not self.keep_alive:
            self._protocol.transport.close()
        self._protocol.on_response_complete()


def _lines(status: int, default_headers: _Headers) -> bytes:
    """The part of a head that is the same for every answer of this second."""
    return STATUS_LINE[status] + b"".join([b"%b: %b\r\n" % header for header in (*default_headers, *HOUSE_HEADERS)])


_good: tuple[_Headers, bytes] = [], b""


def _head(default_headers: _Headers) -> bytes:
    """`_lines` of 200: uvicorn makes a new list whenever the date turns."""
    global _good
    if _good[0] is not default_headers:
        _good = default_headers, _lines(200, default_headers)
    return _good[1]


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
            self.write_whole(data)
        elif data:
            self._held = data
            self._loop.call_soon(self._let_go)

    def write_whole(self, data: bytes) -> None:
        """For what nothing follows; after what is held."""
        held, self._held = self._held, b""
        self._transport.write(held + data if held else data)

    def close(self) -> None:
        self._let_go()
        self._transport.close()

    def _let_go(self) -> None:
        if self._held:
            self.write_whole(b"")

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
