"""The inner zone's side: opens every connection, takes what the edge owes, sends messages through it."""

import asyncio
import base64
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import aiohttp

from services.kernel.work import Database
from services.notify.adapters.port import Accepted, ChannelError, Outgoing
from services.notify.adapters.wechat.callbacks import CallbackRefused, CallbackUnreadable, open_callback
from services.notify.adapters.wechat.security import callback_security
from services.notify.delivery.wechat import channel_error
from services.notify.edge.calls import EdgeCalls, EdgeUnreachable, error_in
from services.notify.rules.retries import FailureKind
from services.notify.wechat import pushes

log = logging.getLogger(__name__)
_WAIT_S = 10.0
_MOST_TRIES = 5


class EdgeChannel:
    """WeChat through the edge, as the sender sees it."""

    name = "wechat"
    dedupe = timedelta(minutes=8)
    shared = True

    def __init__(self, *, calls: EdgeCalls) -> None:
        self._calls = calls

    async def send(self, message: Outgoing) -> Accepted:
        said = {"id": message.message_id, "openid": message.address, "template_id": message.template_id,
                "values": dict(message.fields), "url": message.link}  # fmt: skip
        try:
            found = await self._calls.call("/edge/send", said, seconds=9.0)
        except EdgeUnreachable as error:
            raise ChannelError(f"edge: {error}", kind=FailureKind.TRANSIENT, ambiguous=error.ambiguous) from None
        if "accepted" in found:
            msgid = found["accepted"]["msgid"]
            return Accepted(reference=None if msgid is None else str(msgid))
        raise channel_error(error_in(found))


class EdgeLink:
    """Takes what is owed in order and says so only after it is stored; answers visitors from our own API."""

    def __init__(self, *, database: Database, calls: EdgeCalls, inner_url: str) -> None:
        self._database = database
        self._calls = calls
        self._inner_url = inner_url.rstrip("/")
        self._taken = 0
        self._answers: dict[str, Any] = {}
        self.running = True

    async def run(self) -> None:
        async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
            while self.running:
                try:
                    await self._turn(session)
                except EdgeUnreachable as error:
                    log.warning("edge out of reach: %s", error)
                    await asyncio.sleep(0.5)
                except Exception:
                    log.exception("edge link")
                    await asyncio.sleep(0.5)

    async def _turn(self, session: aiohttp.ClientSession) -> None:
        answers = dict(self._answers)
        said = {"taken": self._taken, "answers": answers, "wait_s": 0 if answers else _WAIT_S}
        found = await self._calls.call("/edge/exchange", said, seconds=_WAIT_S + 10)
        for visit in answers:
            self._answers.pop(visit, None)
        for item in found["items"]:
            if item["kind"] == "push":
                await self._take_push(item)
            else:
                self._answers[item["id"]] = await self._visited(session, item)
            self._taken = item["seq"]

    async def _take_push(self, item: Mapping[str, Any]) -> None:
        """Judged by the hour at which the edge took it, which its envelope vouches for."""
        at = datetime.fromisoformat(item["at"])
        try:
            callback = open_callback(
                query=item["query"], body=base64.b64decode(item["body"]), security=callback_security(), now=at
            )
        except (CallbackRefused, CallbackUnreadable) as refused:
            log.error("the edge passed on a push that we refuse: %s", refused)
            return
        index = await pushes.store(self._database, callback)
        if index is not None:
            await pushes.handle(self._database, index)

    async def _visited(self, session: aiohttp.ClientSession, item: Mapping[str, Any]) -> dict[str, Any]:
        """A visit that our API cannot serve is tried again, then answered as failed: it holds up no other.

        What proves a person holds once: such a request is answered as it went the first time.
        """
        for _ in range(_MOST_TRIES if item.get("again", True) else 1):
            try:
                return await self._visit(session, item)
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                log.warning("visit not served: %s", type(error).__name__)
                await asyncio.sleep(0.5)
        log.error("visit given up", extra={"path": item["path"].rsplit("/", 1)[0]})
        return {"status": 503, "headers": [], "body": ""}

    async def _visit(self, session: aiohttp.ClientSession, item: Mapping[str, Any]) -> dict[str, Any]:
        url = f"{self._inner_url}{item['path']}{'?' + item['query'] if item['query'] else ''}"
        async with session.request(
            item["method"], url, headers=item["headers"], data=base64.b64decode(item["body"]), allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=10),
        ) as response:  # fmt: skip
            body = base64.b64encode(await response.read()).decode()
            headers = [(name, value) for name, value in response.headers.items()]
            if response.status >= 500 and item.get("again", True):
                response.raise_for_status()
            return {"status": response.status, "headers": headers, "body": body}


@asynccontextmanager
async def linked(*, database: Database, calls: EdgeCalls, inner_url: str) -> AsyncIterator[EdgeLink]:
    link = EdgeLink(database=database, calls=calls, inner_url=inner_url)
    task = asyncio.create_task(link.run(), name="edge-link")
    try:
        yield link
    finally:
        link.running = False
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
