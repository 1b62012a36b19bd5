"""The access token that all replicas share, behind a port small enough for one database row and a lock."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class FetchedToken:
    value: str = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class StoredToken:
    """`version` grows by one with every token stored; 0 is never given out."""

    value: str = field(repr=False)
    expires_at: datetime
    version: int


class TokenStore(Protocol):
    async def get(self) -> StoredToken | None:
        """The newest token; read before every send, so cheap."""
        ...

    async def refresh(self, *, stale_version: int, fetch: Callable[[], Awaitable[FetchedToken]]) -> StoredToken:
        """Under a lock shared by all replicas: the stored token if its version is no longer `stale_version`, else
        what `fetch` brings, stored under the next version. `stale_version` 0 means: none was known.

        Whatever `fetch` raises passes through and changes nothing.
        """
        ...


class InMemoryTokenStore:
    """For one process: tests and tools."""

    def __init__(self) -> None:
        self._token: StoredToken | None = None
        self._lock = asyncio.Lock()

    async def get(self) -> StoredToken | None:
        return self._token

    async def refresh(self, *, stale_version: int, fetch: Callable[[], Awaitable[FetchedToken]]) -> StoredToken:
        async with self._lock:
            if self._token is not None and self._token.version != stale_version:
                return self._token
            fetched = await fetch()
            self._token = StoredToken(fetched.value, fetched.expires_at, stale_version + 1)
            return self._token
