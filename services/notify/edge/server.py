"""The outer zone: takes pushes and visitors from the internet, sends to WeChat; without database and broker.

The inner zone opens every connection between the two. `/edge/exchange` hands over what waits on disk and brings the
answers of visitors; `/edge/send` carries one message out, `/edge/account` does what else needs the account.
"""

import asyncio
import base64
import json
import logging
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from services.kernel import logging as kernel_logging
from services.notify.adapters.wechat.callbacks import (
    ANSWER,
    MAX_BODY_BYTES,
    CallbackRefused,
    CallbackSecurity,
    CallbackUnreadable,
    open_address_check,
    open_callback,
)
from services.notify.adapters.wechat.client import Account, WechatClient
from services.notify.adapters.wechat.errors import WechatError
from services.notify.adapters.wechat.messages import TemplateMessage
from services.notify.adapters.wechat.security import callback_security
from services.notify.adapters.wechat.tokens import InMemoryTokenStore
from services.notify.adapters.wechat.transport import Transport
from services.notify.edge import account
from services.notify.edge.seal import HEADER, SealRefused, Verifier, sealed
from services.notify.edge.settings import EdgeSettings, edge_settings
from services.notify.edge.spool import Spool
from services.notify.settings import notify_settings

log = logging.getLogger(__name__)
VISITOR_WAIT_S = 15.0
MOST_EXCHANGE_BYTES = 4 * 1024 * 1024
_PASSED = ("accept-language", "cookie", "authorization", "idempotency-key", "content-type", "last-event-id")
_RETURNED = frozenset({"content-type", "location", "set-cookie", "cache-control", "content-security-policy"})


class EdgeZone:
    def __init__(self, *, settings: EdgeSettings, client: WechatClient, security: CallbackSecurity) -> None:
        self._keys = settings.zone_keys()
        self._verifier = Verifier(keys=self._keys)
        self._owed = Spool(path=settings.spool / "owed.jsonl")
        self._sent = SentJournal(path=settings.spool / "sent.jsonl")
        self._client = client
        self._security = security
        self._visitors: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._arrived = asyncio.Event()

    def app(self) -> Starlette:
        @asynccontextmanager
        async def lifespan(_: Starlette) -> AsyncIterator[None]:
            async with self._client:
                yield

        visitor = ["GET", "POST"]
        return Starlette(
            lifespan=lifespan,
            routes=[
                Route("/edge/exchange", self._exchange, methods=["POST"]),
                Route("/edge/send", self._send, methods=["POST"]),
                Route("/edge/account", self._account, methods=["POST"]),
                Route("/livez", self._live, methods=["GET"]),
                Route("/notify/v1/wechat/callback", self._check, methods=["GET"]),
                Route("/notify/v1/wechat/callback", self._push, methods=["POST"]),
                Route("/notify/v1/wechat/bind/{token}", self._ask, methods=["GET"]),
                Route("/notify/v1/wechat/bound", self._ask, methods=["GET"]),
                Route("/notify/v1/wechat/page-signature", self._ask, methods=["GET"]),
                Route("/notify/v1/m/{token}", self._visit, methods=visitor),
                Route("/notify/v1/m/{token}/{deed}", self._visit, methods=["POST"]),
                Route("/notify/v1/inbox", self._ask, methods=["GET"]),
                Route("/notify/v1/inbox/{delivery_id}/{deed}", self._ask, methods=["POST"]),
            ],
        )

    async def _live(self, _: Request) -> Response:
        return JSONResponse({"live": True, "owed": len(self._owed.pending(after=0, limit=1_000_000))})

    async def _check(self, request: Request) -> Response:
        try:
            echo = open_address_check(query=request.query_params, security=self._security, now=datetime.now(UTC))
        except CallbackRefused:
            return Response(status_code=403)
        return Response(echo, media_type="text/plain")

    async def _push(self, request: Request) -> Response:
        """Judged here, where the signature is fresh; owed to the inner zone as it came, encrypted or not."""
        raw, now = await _capped(request, MAX_BODY_BYTES), datetime.now(UTC)
        try:
            open_callback(query=request.query_params, body=raw, security=self._security, now=now)
        except CallbackRefused as refused:
            log.warning("callback refused: %s", refused.reason)
            return Response(status_code=403)
        except CallbackUnreadable as unreadable:
            log.warning("callback unreadable: %s", unreadable)
            return Response(ANSWER, media_type="text/plain")
        push = {"kind": "push", "query": dict(request.query_params), "body": _text(raw), "at": now.isoformat()}
        await self._owe(push)
        return Response(ANSWER, media_type="text/plain")

    async def _visit(self, request: Request) -> Response:
        """Durable before it is tried: an opened link counts although the visitor or this process has gone."""
        return await self._passed_on(request, durable=True)

    async def _ask(self, request: Request) -> Response:
        """Of a person who proves who they are: no code or token touches the disk; who got no answer asks again."""
        return await self._passed_on(request, durable=False)

    async def _passed_on(self, request: Request, *, durable: bool) -> Response:
        raw, visit = await _capped(request, MAX_BODY_BYTES), uuid4().hex
        headers = {name: request.headers[name] for name in _PASSED if name in request.headers}
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._visitors[visit] = answer
        try:
            await self._owe(
                {"kind": "visit", "id": visit, "method": request.method, "path": request.url.path,
                 "query": request.url.query, "headers": headers, "body": _text(raw), "again": durable},
                durable=durable,
            )  # fmt: skip
            async with asyncio.timeout(VISITOR_WAIT_S):
                found = await answer
        except TimeoutError:
            words = "服务繁忙，请稍后重试。 Busy, please try again."
            return Response(words, status_code=503, headers={"Retry-After": "5"}, media_type="text/plain")
        finally:
            self._visitors.pop(visit, None)
        returned = [(n, v) for n, v in found["headers"] if n.lower() in _RETURNED]
        response = Response(base64.b64decode(found["body"]), status_code=int(found["status"]))
        response.raw_headers += [(n.lower().encode(), v.encode("latin-1", "replace")) for n, v in returned]
        return response

    async def _owe(self, item: Mapping[str, Any], *, durable: bool = True) -> None:
        await asyncio.to_thread(self._owed.append, item, durable=durable)
        self._arrived.set()

    async def _exchange(self, request: Request) -> Response:
        """Answers of visitors in, what is owed out; waits a while when nothing is."""
        body = await self._trusted(request)
        if body is None:
            return Response(status_code=403)
        for visit, answer in body["answers"].items():
            waiting = self._visitors.get(visit)
            if waiting is not None and not waiting.done():
                waiting.set_result(answer)
        taken = int(body["taken"])
        self._owed.taken(taken)
        until = time.monotonic() + min(float(body["wait_s"]), 20.0)
        while not (items := self._owed.pending(after=taken)) and (left := until - time.monotonic()) > 0:
            self._arrived.clear()
            try:
                await asyncio.wait_for(self._arrived.wait(), left)
            except TimeoutError:
                break
        return self._answer(request, {"items": list(items)})

    async def _send(self, request: Request) -> Response:
        """One message; the same id again gives the first acceptance, also after a restart."""
        body = await self._trusted(request)
        if body is None:
            return Response(status_code=403)
        message = TemplateMessage(
            openid=body["openid"], template_id=body["template_id"], values=body["values"], url=body["url"],
            client_msg_id=body["id"],
        )  # fmt: skip
        if (known := self._sent.get(body["id"])) is not None:
            return self._answer(request, {"accepted": known})
        try:
            accepted = await self._client.send_template(message=message)
        except WechatError as error:
            return self._answer(request, account.error_out(error))
        self._sent.put(body["id"], accepted.msgid)
        return self._answer(request, {"accepted": {"msgid": accepted.msgid}})

    async def _account(self, request: Request) -> Response:
        """Never repeated by itself: what may have been done is told as such."""
        body = await self._trusted(request)
        if body is None:
            return Response(status_code=403)
        return self._answer(request, await account.done(self._client, body))

    async def _trusted(self, request: Request) -> Any:
        """The body of a genuine envelope; None for any other."""
        raw = await _capped(request, MOST_EXCHANGE_BYTES)
        try:
            self._verifier.check(request.headers.get(HEADER, ""), purpose=request.url.path, body=raw)
        except SealRefused as refused:
            log.warning("envelope refused: %s", refused)
            return None
        return json.loads(raw)

    def _answer(self, request: Request, found: Mapping[str, Any]) -> Response:
        raw = json.dumps(found, ensure_ascii=False).encode()
        return Response(
            raw, media_type="application/json",
            headers={HEADER: sealed(self._keys, purpose=request.headers[HEADER], body=raw)},
        )  # fmt: skip


class SentJournal:
    """Messages that WeChat took, by id; a day is far beyond any repetition."""

    _KEPT_S = 86_400.0

    def __init__(self, *, path: Any) -> None:
        self._spool = Spool(path=path)
        self._known = {e["id"]: e for e in self._spool.pending(after=0, limit=10_000_000)}

    def get(self, id_: str) -> dict[str, Any] | None:
        found = self._known.get(id_)
        return None if found is None else {"msgid": found["msgid"]}

    def put(self, id_: str, msgid: int | None) -> None:
        entry = {"id": id_, "msgid": msgid, "at": time.time()}
        self._known[id_] = {**entry, "seq": self._spool.append(entry)}
        old = [e for e in list(self._known.values())[:50] if e["at"] < time.time() - self._KEPT_S]
        for e in old:
            del self._known[e["id"]]
            self._spool.taken(e["seq"])


async def _capped(request: Request, most: int) -> bytes:
    raw = bytearray()
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > most:
            break
    return bytes(raw)


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def main() -> None:
    kernel_logging.configure()
    given, wechat = edge_settings(), notify_settings()
    if given.certificate is None or given.certificate_key is None:
        raise SystemExit(
            "缺少证书：请设置 KEYLINE_EDGE_CERTIFICATE 与 KEYLINE_EDGE_CERTIFICATE_KEY。 Give a certificate."
        )
    credentials = Account(app_id=wechat.wechat_app_id, app_secret=wechat.wechat_secret())
    transport = Transport(base_url=wechat.wechat_base_url)
    client = WechatClient(account=credentials, tokens=InMemoryTokenStore(), transport=transport)
    zone = EdgeZone(settings=given, client=client, security=callback_security())
    uvicorn.run(
        zone.app(), host=given.host, port=given.port, ssl_certfile=str(given.certificate), log_config=None,
        ssl_keyfile=str(given.certificate_key), access_log=False, server_header=False, limit_concurrency=500,
        timeout_graceful_shutdown=5,
    )  # fmt: skip
