"""Cutting a connection without an answer, which ASGI cannot say: the transport is looked up by the peer's address."""

import asyncio
import socket
import struct
from typing import Any

from starlette.requests import Request
from uvicorn.protocols.http.h11_impl import H11Protocol

_OPEN: dict[tuple[str, int], tuple[asyncio.Transport, asyncio.Event]] = {}


class CuttableProtocol(H11Protocol):
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if self.client is not None:
            _OPEN[self.client] = (transport, asyncio.Event())

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self.client is not None and (found := _OPEN.pop(self.client, None)) is not None:
            found[1].set()


async def cut(*, request: Request) -> None:
    """The peer sees a reset (RST), not an orderly end."""
    client = request.client
    found = _OPEN.get((client.host, client.port)) if client else None
    if found is None:
        return
    transport, lost = found
    raw: Any = transport.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
    # Only once the server knows that the client is gone does it drop an answer silently.
    await lost.wait()
