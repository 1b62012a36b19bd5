"""Both providers' `/`, and `/standin` for what a test arranges and counts."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs

from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from deploy.sms_standin.signatures import Unsigned, check_aliyun, check_tencent
from deploy.sms_standin.world import Fault, World


def build_app(world: World) -> Starlette:
    async def provider(request: Request) -> Response:
        body = await request.body()
        if "x-acs-action" in request.headers:
            return await _aliyun(world, request, body)
        return await _tencent(world, request, body)

    async def messages(request: Request) -> Response:
        chosen = [m for m in world.messages if request.query_params.get("number") in (None, m["number"])]
        return JSONResponse({"count": len(chosen), "messages": chosen[-1000:]})

    async def faults(request: Request) -> Response:
        return await _changed(request, lambda body: world.faults.append(Fault.model_validate(body)))

    async def behaviour(request: Request) -> Response:
        return await _changed(request, world.behave)

    async def clock(request: Request) -> Response:
        return await _changed(request, world.move_clock)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await world.close()

    routes = [
        Route("/", provider, methods=["POST"]),
        Route("/standin/messages", messages),
        Route("/standin/faults", faults, methods=["POST"]),
        Route("/standin/behaviour", behaviour, methods=["POST"]),
        Route("/standin/clock", clock, methods=["POST"]),
    ]
    return Starlette(routes=routes, lifespan=lifespan)


async def _changed(request: Request, change: Any) -> Response:
    try:
        change(json.loads(await request.body() or b"{}"))
    except (ValidationError, ValueError) as error:
        return JSONResponse({"problem": str(error)}, 422)
    return JSONResponse({"ok": True})


async def _aliyun(world: World, request: Request, body: bytes) -> Response:
    def answer(code: str, status: int = 200, **more: str) -> JSONResponse:
        return JSONResponse({"Code": code, "Message": code, "RequestId": "standin", **more}, status)

    raw_query = request.scope["query_string"].decode()
    try:
        check_aliyun(
            raw_query=raw_query, headers=dict(request.headers), body=body, keys=world.keys, now=world.clock.now(),
            seen=world.nonces,
        )  # fmt: skip
    except Unsigned as unsigned:
        return answer(str(unsigned), 400)
    query = {name: values[0] for name, values in parse_qs(raw_query, keep_blank_values=True).items()}
    number, template = query.get("PhoneNumbers", ""), query.get("TemplateCode", "")
    if not number.isdigit() or len(number) < 5:
        return answer("isv.MOBILE_NUMBER_ILLEGAL")
    fault = world.fault("aliyun")
    if fault is not None and (early := await _before(fault)) is not None:
        return answer(fault.code) if fault.kind == "code" else early
    if world.over_limit(provider="aliyun", number=number, template=template):
        return answer("isv.BUSINESS_LIMIT_CONTROL")
    reference = world.accept(
        provider="aliyun", number=number, template=template, text=query.get("TemplateParam", ""),
        context=query.get("OutId", ""),
    )  # fmt: skip
    return (
        Response(status_code=500)
        if fault is not None and fault.kind == "fail_after_accept"
        else answer("OK", BizId=reference)
    )


async def _tencent(world: World, request: Request, body: bytes) -> Response:
    def refused(code: str) -> JSONResponse:
        return JSONResponse({"Response": {"Error": {"Code": code, "Message": code}, "RequestId": "standin"}})

    def answer(code: str, reference: str = "") -> JSONResponse:
        status = {"SerialNo": reference, "PhoneNumber": number, "Fee": 1, "Code": code, "Message": code}
        return JSONResponse({"Response": {"SendStatusSet": [status], "RequestId": "standin"}})

    try:
        check_tencent(headers=dict(request.headers), body=body, keys=world.keys, now=world.clock.now())
    except Unsigned as unsigned:
        return refused(str(unsigned))
    fields = json.loads(body)
    number = fields["PhoneNumberSet"][0]
    fault = world.fault("tencent")
    if fault is not None and (early := await _before(fault)) is not None:
        return refused(fault.code) if fault.kind == "code" else early
    if world.over_limit(provider="tencent", number=number, template=fields["TemplateId"]):
        return answer("LimitExceeded.PhoneNumberDailyLimit")
    reference = world.accept(
        provider="tencent", number=number, template=fields["TemplateId"],
        text=json.dumps(fields["TemplateParamSet"], ensure_ascii=False), context=fields.get("SessionContext", ""),
    )  # fmt: skip
    return (
        Response(status_code=500)
        if fault is not None and fault.kind == "fail_after_accept"
        else answer("Ok", reference)
    )


async def _before(fault: Fault) -> Response | None:
    """What comes instead of handling; None when the call goes on."""
    if fault.kind == "latency":
        await asyncio.sleep(fault.delay_s)
        return None
    if fault.kind == "status":
        return Response(status_code=fault.status)
    return Response() if fault.kind == "code" else None


def _withheld(fault: Fault | None) -> bool:
    """Accepted, but the caller is not told."""
    return fault is not None and fault.kind == "fail_after_accept"
