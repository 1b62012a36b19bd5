"""The platform's own addresses under /cgi-bin, with quotas, faults and the token check around each."""

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from deploy.wechat_sandbox.answers import Refused, WechatResponse, refusal_answer
from deploy.wechat_sandbox.connections import cut
from deploy.wechat_sandbox.faults import Fault
from deploy.wechat_sandbox.login import LoginDesk
from deploy.wechat_sandbox.sending import Sender, read_body
from deploy.wechat_sandbox.world import World

Handler = Callable[[Request, bytes], Awaitable[dict[str, Any] | Response]]


class CgiBin:
    def __init__(self, *, world: World) -> None:
        self._world = world
        self._sender = Sender(world=world)
        self._logins = LoginDesk(world=world)

    def routes(self) -> list[Route]:
        return [
            self._route("token", self._token, "GET"),
            self._route("stable_token", self._stable_token, "POST"),
            self._route("clear_quota", self._with_token(self._clear_quota), "POST"),
            self._route("message/template/send", self._with_body(self._sender.template), "POST"),
            self._route("message/subscribe/bizsend", self._with_body(self._sender.subscribe), "POST"),
            self._route("message/custom/send", self._with_body(self._sender.custom), "POST"),
            self._route("template/get_all_private_template", self._with_token(self._templates), "GET"),
            self._route("ticket/getticket", self._with_token(self._ticket), "GET"),
            self._route("media/upload", self._with_token(self._world.media.upload), "POST"),
            self._route("media/get", self._with_token(self._world.media.download), "GET"),
            self._route("sns/oauth2/access_token", self._logins.identity, "GET", base=""),
            *self._logins.routes(),
        ]

    def _route(self, api: str, handler: Handler, method: str, *, base: str = "/cgi-bin") -> Route:
        async def endpoint(request: Request) -> Response:
            raw = await request.body()
            fault = self._world.faults.next(api=api, openid=_openid(raw))
            if fault is None:
                return await self._answer(api, handler, request, raw)
            return await self._faulty(fault, api, handler, request, raw)

        return Route(f"{base}/{api}", endpoint, methods=[method])

    async def _answer(self, api: str, handler: Handler, request: Request, raw: bytes) -> Response:
        try:
            self._world.quotas.take(api=api)
            answer = await handler(request, raw)
        except Refused as refused:
            return self._refuse(api, refused)
        self._world.calls[f"{api} 0"] += 1
        return answer if isinstance(answer, Response) else WechatResponse(answer)

    def _refuse(self, api: str, refused: Refused) -> Response:
        self._world.calls[f"{api} {refused.code}"] += 1
        return WechatResponse(refusal_answer(refused=refused, rng=self._world.rng))

    async def _faulty(self, fault: Fault, api: str, handler: Handler, request: Request, raw: bytes) -> Response:
        match fault.kind:
            case "errcode":
                return self._refuse(api, Refused(fault.errcode, fault.errmsg))
            case "http_status":
                return Response("upstream unavailable", status_code=fault.status)
            case "malformed":
                return Response('{"errcode":', media_type="application/json")
            case "reset_before":
                await cut(request=request)
                return Response()
            case "latency":
                await asyncio.sleep(fault.delay_s)
        answer = await self._answer(api, handler, request, raw)
        if fault.kind in ("slow_answer", "hang_after_accept"):
            await asyncio.sleep(fault.delay_s)
        if fault.kind in ("reset_after_accept", "hang_after_accept"):
            await cut(request=request)
        return answer

    def _with_token(self, handler: Handler) -> Handler:
        async def checked(request: Request, raw: bytes) -> dict[str, Any] | Response:
            self._world.tokens.check(value=request.query_params.get("access_token"))
            return await handler(request, raw)

        return checked

    def _with_body(self, send: Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]) -> Handler:
        async def read_and_send(_: Request, raw: bytes) -> dict[str, Any]:
            return await send(read_body(raw=raw))

        return self._with_token(read_and_send)

    async def _token(self, request: Request, _: bytes) -> dict[str, Any]:
        query = request.query_params
        self._check_credentials(query.get("grant_type"), query.get("appid"), query.get("secret"))
        return self._world.tokens.classic(overlap_s=self._world.behaviour.classic_overlap_s)

    async def _stable_token(self, _: Request, raw: bytes) -> dict[str, Any]:
        body = read_body(raw=raw)
        self._check_credentials(body.get("grant_type"), body.get("appid"), body.get("secret"))
        return self._world.tokens.stable(force=body.get("force_refresh") is True)

    def _check_credentials(self, grant_type: object, app_id: object, secret: object) -> None:
        settings = self._world.settings
        if grant_type != "client_credential":
            raise Refused(40002, "invalid grant_type")
        if app_id != settings.app_id:
            raise Refused(40013)
        if not secret:
            raise Refused(41004)
        if secret != settings.app_secret:
            raise Refused(40125)

    async def _clear_quota(self, _: Request, raw: bytes) -> dict[str, Any]:
        if read_body(raw=raw).get("appid") != self._world.settings.app_id:
            raise Refused(40013)
        self._world.quotas.clear()
        return {"errcode": 0, "errmsg": "ok"}

    async def _ticket(self, request: Request, _: bytes) -> dict[str, Any]:
        if request.query_params.get("type") != "jsapi":
            raise Refused(40097, "invalid args")
        return {"errcode": 0, "errmsg": "ok"} | self._world.tokens.ticket()

    async def _templates(self, _: Request, __: bytes) -> dict[str, Any]:
        return {"template_list": [template.listing() for template in self._world.templates.values()]}


def _openid(raw: bytes) -> str | None:
    """For faults aimed at one person; any unreadable body simply has none."""
    with contextlib.suppress(ValueError, RecursionError):
        body = json.loads(raw) if raw else None
        if isinstance(body, dict) and isinstance(body.get("touser"), str):
            return str(body["touser"])
    return None
