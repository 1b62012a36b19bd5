"""Small POSTs to one fixed address over kept HTTP/1.1 connections: the hot path of sending (docs/adr/0017).

What is not this (GET, files, webhooks, other providers) goes through aiohttp.
"""

import asyncio
import socket
import ssl
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import aiohappyeyeballs
import httptools
from yarl import URL

MOST_HEAD_BYTES = 64 * 1024
"""Status line and headers of an answer, and what chunks cost beside their content."""
IDLE_S = 15.0
"""A connection that was unused for longer is not trusted: the other side or a gateway may be closing it."""
_SECOND_ADDRESS_AFTER_S = 0.25
_ADDRESSES_S = 10.0
"""A name is not looked up again for so long: a storm opens many connections at once."""


class NotSent(Exception):
    """Nothing of the request left: no connection was there for it."""


class NoAnswer(Exception):
    """The request, or a part of it, is out and no whole answer came."""


class AnswerTooLarge(NoAnswer):
    """More bytes than the caller takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OriginLimits:
    """`read_timeout_s` is the longest silence; `total_timeout_s` counts from the call, the connecting included."""

    connect_timeout_s: float
    read_timeout_s: float
    total_timeout_s: float


class Origin:
    """Opens as many connections as calls are under way at once: whoever calls keeps them few."""

    def __init__(self, *, url: URL, limits: OriginLimits) -> None:
        if url.host is None or url.port is None:
            raise ValueError(f"{url}：须有主机名。 Needs a host.")
        self._host, self._port = url.host, url.port
        self._tls = _trusting() if url.scheme == "https" else None
        self._limits = limits
        self._addresses: list[Any] = []
        self._looked_up_at = 0.0
        self._looking_up = asyncio.Lock()
        self._idle: list[_Connection] = []
        self._all: set[_Connection] = set()

    async def post(self, *, head: bytes, body: bytes, most_bytes: int) -> tuple[int, bytes]:
        """Status and content. `head` ends where the length of the body is to follow (`head_of`).

        Raises `NotSent` or `NoAnswer`, whose texts hold nothing of the request.
        """
        begun = asyncio.get_running_loop().time()
        connection = self._unused(begun) or await self._connected()
        answer = connection.ask(b"%b%d\r\n\r\n%b" % (head, len(body), body), begun=begun, most_bytes=most_bytes)
        try:
            return await answer
        finally:
            if connection.reusable:
                self._idle.append(connection)
            else:
                connection.abort()

    def close(self) -> None:
        for connection in list(self._all):
            connection.abort()

    def _unused(self, now: float) -> "_Connection | None":
        while self._idle:
            connection = self._idle.pop()
            if connection.reusable and now - connection.heard_at < IDLE_S:
                return connection
            connection.abort()
        return None

    async def _connected(self) -> "_Connection":
        limits, loop = self._limits, asyncio.get_running_loop()
        try:
            async with asyncio.timeout(min(limits.connect_timeout_s, limits.total_timeout_s)):
                made = await aiohappyeyeballs.start_connection(
                    await self._found(), happy_eyeballs_delay=_SECOND_ADDRESS_AFTER_S, interleave=1
                )
                try:
                    _, connection = await loop.create_connection(
                        partial(_Connection, limits=limits, all_=self._all), sock=made, ssl=self._tls,
                        server_hostname=self._host if self._tls is not None else None,
                    )  # fmt: skip
                except BaseException:
                    made.close()
                    raise
        except (OSError, TimeoutError) as error:
            self._addresses = []
            raise NotSent(type(error).__name__) from None
        return connection

    async def _found(self) -> list[Any]:
        loop = asyncio.get_running_loop()
        async with self._looking_up:
            if not self._addresses or loop.time() - self._looked_up_at > _ADDRESSES_S:
                self._addresses = await loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
                self._looked_up_at = loop.time()
        return self._addresses


class _Connection(asyncio.Protocol):
    """One call after the other. A single timer runs for all of them: a call's end only moves what it looks at."""

    def __init__(self, *, limits: OriginLimits, all_: "set[_Connection]") -> None:
        self._loop = asyncio.get_running_loop()
        self._limits = limits
        self._all = all_
        self._shortest_s = min(limits.read_timeout_s, limits.total_timeout_s)
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None
        self._ends_at = 0.0
        self._most_bytes = 0
        self._on_wire = 0
        self._keeps = True
        self._pieces: list[bytes] = []
        self._in_body = self._framed = False
        self.heard_at = self._loop.time()

    @property
    def reusable(self) -> bool:
        return self._keeps and self._answer is None and self._transport is not None

    def ask(self, request: bytes, *, begun: float, most_bytes: int) -> asyncio.Future[tuple[int, bytes]]:
        assert self._transport is not None
        answer = self._answer = self._loop.create_future()
        self._ends_at = begun + self._limits.total_timeout_s
        self._most_bytes, self._on_wire = most_bytes, 0
        self.heard_at = self._loop.time()
        self._transport.write(request)
        return answer

    def abort(self) -> None:
        self._keeps = False
        if self._transport is not None:
            self._transport.abort()

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by type
        self._all.add(self)
        self._timer = self._loop.call_later(self._shortest_s, self._on_time)

    def data_received(self, data: bytes) -> None:
        self._on_wire += len(data)
        if self._answer is None:
            self.abort()  # nobody asked: whatever it is, it is no answer to the next call
        elif self._on_wire > self._most_bytes + MOST_HEAD_BYTES:
            self._fail(AnswerTooLarge("answer too long"))
        else:
            self.heard_at = self._loop.time()
            try:
                self._parser.feed_data(data)
            except (httptools.HttpParserError, httptools.HttpParserUpgrade):
                self._fail(NoAnswer("malformed answer"))

    def eof_received(self) -> None:
        self._keeps = False
        if self._answer is not None and self._in_body and not self._framed:
            self._finish()  # a body without a length lasts until the connection ends

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self._all.discard(self)
        if self._timer is not None:
            self._timer.cancel()
        self._fail(NoAnswer("connection closed" if error is None else type(error).__name__))

    # What the parser calls.

    def on_message_begin(self) -> None:
        self._keeps = self._keeps and self._answer is not None

    def on_header(self, name: bytes, value: bytes) -> None:
        self._framed = self._framed or name.lower() in (b"content-length", b"transfer-encoding")

    def on_headers_complete(self) -> None:
        self._in_body = True

    def on_body(self, body: bytes) -> None:
        self._pieces.append(body)

    def on_message_complete(self) -> None:
        if self._parser.get_status_code() < 200:
            self._forget()  # an interim answer; the real one follows
        else:
            self._keeps = self._keeps and self._parser.should_keep_alive()
            self._finish()

    def _finish(self) -> None:
        answer, body = self._answer, b"".join(self._pieces)
        self._answer = None
        self._forget()
        if answer is None or answer.done():
            self._keeps = False
        elif len(body) > self._most_bytes:
            answer.set_exception(AnswerTooLarge("answer too long"))
        else:
            answer.set_result((self._parser.get_status_code(), body))

    def _fail(self, error: NoAnswer) -> None:
        answer, self._answer = self._answer, None
        if answer is not None and not answer.done():
            answer.set_exception(error)
        self.abort()

    def _forget(self) -> None:
        self._pieces = []
        self._in_body = self._framed = False

    def _on_time(self) -> None:
        """Looks at least once in the shortest time in which a call that begins now may have to end."""
        now = self._loop.time()
        if self._answer is None:
            due = self.heard_at + IDLE_S
        else:
            due = min(self._ends_at, self.heard_at + self._limits.read_timeout_s)
        if now < due - 0.001:
            self._timer = self._loop.call_at(min(due, now + self._shortest_s), self._on_time)
        elif self._answer is None:
            self.abort()
        else:
            self._fail(NoAnswer("TimeoutError"))


def head_of(url: URL, *, content_type: str) -> bytes:
    """The request up to the length of its body; may serve many."""
    return (
        f"POST {url.raw_path_qs} HTTP/1.1\r\nHost: {url.host_port_subcomponent}\r\n"
        f"Content-Type: {content_type}\r\nContent-Length: "
    ).encode("ascii")


def _trusting() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context
