"""What the demo knows of the house: HTTP answers, tables and the sandbox's log, read from outside."""

import asyncio
import http.client
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import asyncpg

from deploy.local.house import House

_AWAY = frozenset({502, 503, 504})
_RETRY_S = 0.2


class NotSeen(RuntimeError):
    """Something that had to happen was not seen in time; the message says what stood there instead."""


class Outside:
    """`patience` stretches every wait, for runs in which services are killed and come back."""

    def __init__(self, house: House, *, seed: int, patience: float = 1.0) -> None:
        self._house = house
        self._seed = seed
        self._calls = 0
        self.patience = patience

    async def rows(self, sql: str, *arguments: Any) -> list[Any]:
        connection = await asyncpg.connect(self._house.admin_dsn)
        try:
            return list(await connection.fetch(sql, *arguments))
        finally:
            await connection.close()

    async def one(self, sql: str, *arguments: Any) -> Any:
        [row] = await self.rows(sql, *arguments)
        return row[0]

    async def until(
        self, what: str, sql: str, wanted: Callable[[list[Any]], bool], *arguments: Any, seconds: float = 60
    ) -> list[Any]:
        """The rows once they are as wanted; raises `NotSeen`."""
        end = time.monotonic() + seconds * self.patience
        while True:
            found = await self.rows(sql, *arguments)
            if wanted(found):
                return found
            if time.monotonic() > end:
                raise NotSeen(f"{what}: not within {seconds * self.patience:.0f} s; last seen {found[:5]}")
            await asyncio.sleep(0.1)

    async def call(
        self,
        method: str,
        service: str,
        path: str,
        *,
        person_id: str,
        body: Any = None,
        form: tuple[str, bytes] | None = None,
    ) -> tuple[int, Any]:
        """One request as a person signed in at the development issuer; status and decoded body.

        A service that is away is asked again with the same Idempotency-Key, as a client has to. The keys follow
        from the seed, so that two runs send the same requests.
        """
        self._calls += 1
        key = uuid5(NAMESPACE_URL, f"keyline-demo|{self._seed}|{self._calls}").hex
        end = time.monotonic() + 30 * self.patience
        while True:
            try:
                status, answer = await asyncio.to_thread(self._call, method, service, path, person_id, body, form, key)
                if status not in _AWAY or time.monotonic() > end:
                    return status, answer
            except (OSError, http.client.HTTPException):
                if time.monotonic() > end:
                    raise
            await asyncio.sleep(_RETRY_S)

    def _call(  # noqa: PLR0917  (the synchronous half of `call`)
        self, method: str, service: str, path: str, person_id: str, body: Any, form: tuple[str, bytes] | None, key: str
    ) -> tuple[int, Any]:
        headers = {
            "Authorization": f"Bearer {self._house.token(person_id)}",
            "Idempotency-Key": key,
            "Accept-Language": "en",
        }
        data: bytes | None = None
        if form is not None:
            headers["Content-Type"] = f"multipart/form-data; boundary={key}"
            part = f'--{key}\r\nContent-Disposition: form-data; name="{form[0]}"; filename="photo.jpg"\r\n\r\n'
            data = part.encode() + form[1] + f"\r\n--{key}--\r\n".encode()
        elif body is not None:
            headers["Content-Type"] = "application/json"
            data = json.dumps(body).encode()
        request = urllib.request.Request(f"{self._house.url(service)}{path}", data=data, headers=headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as refused:
            return refused.code, json.loads(refused.read() or b"null")

    async def sandbox_messages(self) -> list[dict[str, Any]]:
        """What the WeChat sandbox showed on phones, oldest first."""
        found = await asyncio.to_thread(self._sandbox, "messages", None)
        return list(found["messages"] if isinstance(found, dict) else found)

    async def sandbox_behaviour(self, **changes: Any) -> None:
        await asyncio.to_thread(self._sandbox, "behaviour", changes)

    def _sandbox(self, name: str, body: Any) -> Any:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{self._house.sandbox}/sandbox/{name}", data=data, headers=headers)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)
