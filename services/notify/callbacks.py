"""What WeChat pushes: checked, stored, answered at once; handled after the answer. Repetitions change nothing."""

import logging

from fastapi import Request, Response
from starlette.background import BackgroundTask

from services.kernel.http import public, service_router
from services.kernel.work import Database
from services.notify.adapters.wechat.callbacks import (
    ANSWER,
    CallbackRefused,
    CallbackUnreadable,
    open_address_check,
    open_callback,
)
from services.notify.adapters.wechat.security import callback_security
from services.notify.wechat import pushes

log = logging.getLogger(__name__)
router = service_router("notify")


@router.get("/wechat/callback", summary="微信回调地址校验 WeChat checks the address")
@public("signature")
async def check(request: Request) -> Response:
    database: Database = request.app.state.databases["notify"]
    try:
        echo = open_address_check(query=request.query_params, security=callback_security(), now=database.clock.now())
    except CallbackRefused as refused:
        return _refuse(refused)
    return Response(echo, media_type="text/plain")


@router.post("/wechat/callback", summary="微信推送 WeChat pushes events")
@public("signature")
async def pushed(request: Request) -> Response:
    database: Database = request.app.state.databases["notify"]
    try:
        callback = open_callback(
            query=request.query_params,
            body=await request.body(),
            security=callback_security(),
            now=database.clock.now(),
        )
    except CallbackRefused as refused:
        return _refuse(refused)
    except CallbackUnreadable as unreadable:
        log.warning("callback unreadable: %s", unreadable)
        return Response(ANSWER, media_type="text/plain")
    index = await pushes.store(database, callback)
    later = None if index is None else BackgroundTask(pushes.handle, database, index)
    return Response(ANSWER, media_type="text/plain", background=later)


def _refuse(refused: CallbackRefused) -> Response:
    log.warning("callback refused: %s", refused.reason)
    return Response(status_code=403)
