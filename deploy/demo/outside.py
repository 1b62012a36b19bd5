"""What the demo knows of the house: HTTP answers, tables and the sandbox's log, read from outside."""

import asyncio
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import asyncpg

from deploy.local.house import House


class NotSeen(RuntimeError):
    """Something that had to happen was not seen in time; the message says what stood there instead."""


class Outside:
    def __init__(self, house: House) -> None:
        self._house = house

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
        end = time.monotonic() + seconds
        while True:
            found = await self.rows(sql, *arguments)
            if wanted(found):
                return found
            if time.monotonic() > end:
                raise NotSeen(f"{what}: not within {seconds:.0f} s; last seen {found[:5]}")
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
        """One request as a person signed in at the development issuer; status and decoded body."""
        return await asyncio.to_thread(self._call, method, service, path, person_id, body, form)

    def _call(  # noqa: PLR0917  (the synchronous half of `call`)
        self, method: str, service: str, path: str, person_id: str, body: Any, form: tuple[str, bytes] | None
    ) -> tuple[int, Any]:
        headers = {
            "Authorization": f"Bearer {self._house.token(person_id)}",
            "Idempotency-Key": uuid4().hex,
            "Accept-Language": "en",
        }
        data: bytes | None = None
        if form is not None:
            boundary = uuid4().hex
            headers["Content-Type"] = f"multipart/form-data; boundary={boundary}"
            part = f'--{boundary}\r\nContent-Disposition: form-data; name="{form[0]}"; filename="photo.jpg"\r\n\r\n'
            data = part.encode() + form[1] + f"\r\n--{boundary}--\r\n".encode()
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

        def read() -> Any:
            with urllib.request.urlopen(f"{self._house.sandbox}/sandbox/messages", timeout=10) as answer:
                return json.load(answer)

        found = await asyncio.to_thread(read)
        return list(found["messages"] if isinstance(found, dict) else found)
