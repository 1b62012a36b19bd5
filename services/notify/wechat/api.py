"""Routes around the Official Account: invitations and binding, the conversation of a person, pages of ours."""

from typing import Annotated

from fastapi import Cookie, Path, Query, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from services.kernel.errors import InvalidInput
from services.kernel.http import Work, allow, public, service_router
from services.kernel.work import Database
from services.notify import queries
from services.notify.adapters.wechat.login import Identity
from services.notify.channel_settings import channel_settings
from services.notify.conversation import threads
from services.notify.wechat import accounts, binding, pages, replies, schemas

router = service_router("notify")
CUSTOMER = ("customer-contact", "customer-electrician", "customer-administrator")
PAGES = (*CUSTOMER, "account-manager", "inspector", "team-leader", "crew-leader", "service-desk")
PersonId = Annotated[str, Path(max_length=64)]
_BOUND = (
    '<!doctype html><html lang="zh-CN"><meta charset="utf-8">'
    '<meta name="viewport" content="width=device-width,initial-scale=1"><title>绑定成功</title>'
    "<h1>绑定成功</h1><p>今后用电通知将通过微信送达，可关闭本页。</p>"
    '<p lang="en">Your WeChat is bound; notices will reach you there. You may close this page.</p></html>'
)


@router.post(
    "/persons/{person_id}/wechat/invitations", summary="邀请绑定微信 Invite a person to bind WeChat", status_code=201
)
@allow("account-manager", "customer-administrator", "service-desk")
async def invite(work: Work, person_id: PersonId) -> schemas.Invitation:
    await queries.require_person(work, person_id=person_id)
    return await binding.invite(work, person_id=person_id)


@router.get("/wechat/bind/{token}", summary="打开绑定邀请 Open an invitation to bind", status_code=303)
@public("signed invitation of one person")
async def open_invitation(request: Request, token: Annotated[str, Path(max_length=80)]) -> Response:
    _only(request, allowed=())
    login = await binding.open_login(_database(request), token=token)
    response = RedirectResponse(login.address, status_code=303)
    response.set_cookie(
        binding.COOKIE, login.browser, max_age=int(binding.LOGIN_LIFE.total_seconds()), path="/notify/v1/wechat",
        httponly=True, samesite="lax", secure=channel_settings().public_url.startswith("https"),
    )  # fmt: skip
    return response


@router.get("/wechat/bound", summary="微信确认后返回 Back from WeChat's login", response_class=HTMLResponse)
@public("state bound to the browser that opened the invitation")
async def bound(
    request: Request,
    state: Annotated[str, Query(max_length=128)],
    code: Annotated[str, Query(max_length=512)],
    keyline_bind: Annotated[str, Cookie(max_length=128)] = "",
) -> Response:
    _only(request, allowed=("state", "code"))
    database = _database(request)

    async def exchange(given: str) -> Identity:
        async with accounts.account_of(database, role="api") as client:
            return await client.identity(code=given)

    await binding.finish(database, state=state, browser=keyline_bind, code=code, exchange=exchange)
    answer = HTMLResponse(_BOUND)
    answer.delete_cookie(binding.COOKIE, path="/notify/v1/wechat")
    return answer


@router.get("/persons/{person_id}/wechat", summary="微信会话与可回复条数 WeChat conversation and what may be answered")
@allow("account-manager", "service-desk")
async def conversation(
    work: Work, person_id: PersonId, limit: Annotated[int, Query(ge=1, le=200)] = 50
) -> schemas.Conversation:
    await queries.require_person(work, person_id=person_id)
    return await replies.conversation(work, person_id=person_id, limit=limit)


@router.post("/persons/{person_id}/wechat/replies", summary="在微信内回复 Answer in WeChat", status_code=201)
@allow("account-manager", "service-desk")
async def reply(work: Work, person_id: PersonId, body: schemas.ReplyIn) -> schemas.WrittenReply:
    await queries.require_person(work, person_id=person_id)
    written = await replies.write(work, person_id=person_id, text=body.text)
    await threads.note_reply(work, person_id=person_id, said=body.text)
    return written


@router.get("/wechat/page-signature", summary="本站页面的 JS-SDK 签名 JS-SDK signature of a page of ours")
@allow(*PAGES)
async def page_signature(
    request: Request, work: Work, url: Annotated[str, Query(max_length=1000)]
) -> schemas.PageSignature:
    return await pages.sign(_database(request), work, url=url)


def _database(request: Request) -> Database:
    database = request.app.state.databases["notify"]
    assert isinstance(database, Database)
    return database


def _only(request: Request, *, allowed: tuple[str, ...]) -> None:
    """Nothing else in the address, so that nothing can name where the browser goes next."""
    for name in request.query_params:
        if name not in allowed:
            raise InvalidInput(
                zh=f"不接受参数 {name[:40]}。", en=f"The parameter {name[:40]} is not taken.", field="query"
            )
