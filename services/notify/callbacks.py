"""What WeChat pushes: receipts of template messages. Stored before the answer; repetitions change nothing."""

import logging

from fastapi import Request, Response

from services.kernel.http import public, service_router
from services.kernel.work import EVERYTHING, Actor, Cause, Database
from services.notify.adapters.wechat.callbacks import (
    ANSWER,
    Callback,
    CallbackRefused,
    CallbackSecurity,
    CallbackUnreadable,
    open_address_check,
    open_callback,
)
from services.notify.adapters.wechat.crypto import Envelope, EnvelopeKey
from services.notify.adapters.wechat.events import job_finished
from services.notify.delivery import outcomes
from services.notify.settings import notify_settings

log = logging.getLogger(__name__)
router = service_router("notify")


@router.get("/wechat/callback", summary="微信回调地址校验 WeChat checks the address")
@public("signature")
async def check(request: Request) -> Response:
    database: Database = request.app.state.databases["notify"]
    try:
        echo = open_address_check(query=request.query_params, security=_security(), now=database.clock.now())
    except CallbackRefused as refused:
        return _refuse(refused)
    return Response(echo, media_type="text/plain")


@router.post("/wechat/callback", summary="微信推送 WeChat pushes events")
@public("signature")
async def pushed(request: Request) -> Response:
    database: Database = request.app.state.databases["notify"]
    try:
        callback = open_callback(
            query=request.query_params, body=await request.body(), security=_security(), now=database.clock.now()
        )
    except CallbackRefused as refused:
        return _refuse(refused)
    except CallbackUnreadable as unreadable:
        log.warning("callback unreadable: %s", unreadable)
        return Response(ANSWER, media_type="text/plain")
    if callback.event == "TEMPLATESENDJOBFINISH":
        await _receipt(database, callback)
    return Response(ANSWER, media_type="text/plain")


async def _receipt(database: Database, callback: Callback) -> None:
    try:
        finished = job_finished(callback=callback)
    except CallbackUnreadable as unreadable:
        log.warning("receipt unreadable: %s", unreadable)
        return
    cause = Cause(id=callback.dedupe_key[:120], source="wechat", type=callback.event)
    actor = Actor(person_id="system:wechat", role="system")
    async with database.work(role="api", cause=cause, actor=actor, scope=EVERYTHING) as work:
        await outcomes.receipt(
            work, message_id=str(finished.msgid), status=finished.status, openid=callback.text("FromUserName")
        )


def _security() -> CallbackSecurity:
    settings = notify_settings()
    aes_key = settings.wechat_encoding_key()
    envelope = None
    if aes_key is not None:
        key = EnvelopeKey.parse(encoding_aes_key=aes_key)
        envelope = Envelope(app_id=settings.wechat_app_id, key=key)
    return CallbackSecurity(
        token=settings.wechat_callback_secret(),
        envelope=envelope,
        require_encryption=not settings.wechat_plain_callbacks,
    )


def _refuse(refused: CallbackRefused) -> Response:
    log.warning("callback refused: %s", refused.reason)
    return Response(status_code=403)
