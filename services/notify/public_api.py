"""What carries its own proof of who calls: links in messages, receipts of text messages, the inbox stream."""

import asyncio
import hmac
import json
import logging
import time
from collections.abc import AsyncIterator
from html import escape
from typing import Annotated, Any
from uuid import UUID

from fastapi import Header, Path, Query, Request, Response
from fastapi.responses import HTMLResponse, StreamingResponse
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event
from sqlalchemy.dialects.postgresql import insert as upsert

from services.kernel.http import Work, allow, public, service_router
from services.kernel.work import EVERYTHING, Actor, Cause, Database, Scope, UnitOfWork
from services.notify import queries
from services.notify.api import CUSTOMER, STAFF
from services.notify.channel_settings import channel_settings
from services.notify.delivery import outcomes
from services.notify.delivery.links import link_key, opened_link
from services.notify.delivery.rows import Row, locked, places_by_delivery
from services.notify.delivery.stream import Arrived, InboxHub, Place, since
from services.notify.tables import preference
from services.notify.templates.texts import title_and_body

log = logging.getLogger(__name__)
router = service_router("notify")
Token = Annotated[str, Path(max_length=60, pattern=r"^[A-Za-z0-9_-]{20,60}$")]
KEEPALIVE_S = 15.0
_PAGE = """<!doctype html><html lang="{lang}"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title><body style="font-family:sans-serif;max-width:36em;margin:2em auto;padding:0 1em">
<h2>{title}</h2><p>{body}</p>{button}</body></html>"""
_GONE = {"zh": ("链接已失效", "请打开应用查看消息。"), "en": ("This link has ended", "Open the app to read it.")}
_TAP = {"zh": ("确认收到", "已确认收到。"), "en": ("I have read this", "Acknowledged. Thank you.")}
_FORM = '<form method="post" action="{token}/acknowledge"><button style="font-size:1.2em">{words}</button></form>'


@router.get("/m/{token}", summary="打开消息链接 Open the link of a message", response_class=HTMLResponse)
@public("signed link of one message and person")
async def follow_link(request: Request, token: Token) -> HTMLResponse:
    async with _as_link(request, token) as (work, row):
        if row is None:
            title, body = _GONE["en" if request.headers.get("accept-language", "").startswith("en") else "zh"]
            return HTMLResponse(_PAGE.format(lang="zh", title=title, body=body, button=""), 404)
        await outcomes.opened(work, row=row)
        return HTMLResponse(await _page(work, row, token=token, done=row["acknowledged_at"] is not None))


@router.post("/m/{token}/acknowledge", summary="一键确认收到 Acknowledge by one tap", response_class=HTMLResponse)
@public("signed link of one message and person")
async def tap(request: Request, token: Token) -> HTMLResponse:
    async with _as_link(request, token) as (work, row):
        if row is None:
            return HTMLResponse("", 404)
        await outcomes.acknowledged(work, row=row)
        return HTMLResponse(await _page(work, row, token=token, done=True))


@router.post("/m/{token}/unsubscribe", summary="退订此类邮件 Unsubscribe from this class by mail", status_code=204)
@public("signed link of one message and person")
async def unsubscribe(request: Request, token: Token) -> Response:
    """RFC 8058: one POST, no further question. Mandatory classes go on."""
    async with _as_link(request, token) as (work, row):
        if row is None:
            return Response(status_code=404)
        if not row["mandatory"]:
            word = {"person_id": row["person_id"], "event_class": row["event_class"], "channel": row["channel"],
                    "wanted": False, "changed_at": work.now}  # fmt: skip
            put = upsert(preference).values(word)
            keys = ["person_id", "event_class", "channel"]
            await work.db.execute(put.on_conflict_do_update(index_elements=keys, set_=word))
            await work.audit(action="unsubscribed", object_type="person", object_id=row["person_id"], after=word)
    return Response(status_code=204)


@router.post("/sms/receipts/{provider}/{token}", summary="短信回执 Receipts of text messages")
@public("secret part of the address, which the provider was given")
async def sms_receipts(
    request: Request, provider: Annotated[str, Path(pattern=r"^(aliyun|tencent)$")], token: Annotated[str, Path()]
) -> Response:
    wanted = channel_settings().sms_callback_token
    if wanted is None or not hmac.compare_digest(token.encode(), wanted.get_secret_value().encode()):
        return Response(status_code=403)
    try:
        reports = json.loads(await request.body())
        read = [_report(provider, report) for report in reports][:500]
    except (ValueError, TypeError, KeyError):
        log.warning("receipts unreadable", extra={"provider": provider})
        return Response(status_code=400)
    database: Database = request.app.state.databases["notify"]
    for delivery_id, delivered, reason in sorted(read, key=lambda r: str(r[0])):
        async with _transaction(database, f"sms-receipt|{delivery_id}|{delivered}") as work:
            await outcomes.receipt_of(work, delivery_id=delivery_id, delivered=delivered, reason=reason)
    return Response('{"code":0,"msg":"OK","result":0,"errmsg":"OK"}', media_type="application/json")


def _report(provider: str, report: dict[str, Any]) -> tuple[UUID, bool, str]:
    """Raises KeyError, ValueError or TypeError for anything else than the provider's documented form."""
    if provider == "aliyun":
        return UUID(report["out_id"]), report["success"] is True, f"sms {str(report.get('err_code', ''))[:40]}"
    return UUID(report["ext"]), report["report_status"] == "SUCCESS", f"sms {str(report.get('errmsg', ''))[:40]}"


@router.get("/inbox/stream", summary="消息推送流 My messages as they come (SSE)", response_class=StreamingResponse)
@allow(*CUSTOMER, *STAFF)
async def stream(
    request: Request,
    work: Work,
    last_event_id: Annotated[str | None, Header(max_length=64)] = None,
    seconds: Annotated[int, Query(ge=0, le=900, description="the stream ends then; 0: what is there now")] = 900,
) -> StreamingResponse:
    """Each event carries its place as id; a client that comes back with `Last-Event-ID` misses nothing.

    A stream ends by itself, so that the client's rights are looked at again.
    """
    database: Database = request.app.state.databases["notify"]
    after = Place.parse(last_event_id) if last_event_id else None
    events = _events(request, database, work, after=after, seconds=seconds)
    return StreamingResponse(events, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})


async def _events(
    request: Request, database: Database, work: UnitOfWork, *, after: Place | None, seconds: int
) -> AsyncIterator[bytes]:
    """No database session is held between messages: of the request's own unit only who asked is used."""
    ends = time.monotonic() + seconds
    actor, scope = work.actor, work.scope
    async with _hub(request, database).listening(person_id=actor.person_id) as queue:
        async with _own(database, actor, scope) as own:
            earlier = await since(own, person_id=actor.person_id, after=after)
        seen = after
        for arrived in earlier:
            async for event in _event(database, actor, scope, arrived):
                yield event
            seen = arrived.place
        yield KEEPALIVE_COMMENT
        while time.monotonic() < ends:
            try:
                next_one = await asyncio.wait_for(queue.get(), timeout=min(KEEPALIVE_S, ends - time.monotonic()))
            except TimeoutError:
                yield KEEPALIVE_COMMENT
                continue
            if next_one is None:
                return
            if seen is None or next_one.place > seen:
                async for event in _event(database, actor, scope, next_one):
                    yield event
                seen = next_one.place


async def _event(database: Database, actor: Actor, scope: Scope, arrived: Arrived) -> AsyncIterator[bytes]:
    async with _own(database, actor, scope) as work:
        items = await queries.inbox_items(work, delivery_ids=[arrived.delivery_id])
        unread = await queries.unread(work, person_id=actor.person_id, days=90)
    for item in items:
        data = json.dumps({**item.model_dump(mode="json"), "unread": unread}, ensure_ascii=False)
        yield format_sse_event(data_str=data, event="message", id=str(arrived.place))


def _hub(request: Request, database: Database) -> InboxHub:
    state = request.app.state
    if not hasattr(state, "inbox_hub"):
        dsn = state.settings.database_url(service="notify", role="api")
        state.inbox_hub = InboxHub(database=database, dsn=dsn)
    hub: InboxHub = state.inbox_hub
    return hub


def _own(database: Database, actor: Actor, scope: Scope) -> Any:
    cause = Cause(id=f"stream|{actor.person_id}", source="stream", type="inbox-stream")
    return database.work(role="api", cause=cause, actor=actor, scope=scope)


def _transaction(database: Database, name: str) -> Any:
    cause = Cause(id=name, source="public", type="public")
    actor = Actor(person_id="system:public", role="system")
    return database.work(role="api", cause=cause, actor=actor, scope=EVERYTHING)


class _as_link:
    """The message of a genuine link, locked in a transaction of its own; None for any other."""

    def __init__(self, request: Request, token: str) -> None:
        database: Database = request.app.state.databases["notify"]
        self._delivery_id = opened_link(token, key=link_key(), now=database.clock.now())
        self._inner = _transaction(database, f"link|{token}|{request.method}|{request.url.path.rpartition('/')[2]}")

    async def __aenter__(self) -> tuple[UnitOfWork, Row | None]:
        work: UnitOfWork = await self._inner.__aenter__()
        row = None if self._delivery_id is None else await locked(work, self._delivery_id)
        return work, row

    async def __aexit__(self, *raised: Any) -> Any:
        return await self._inner.__aexit__(*raised)


async def _page(work: UnitOfWork, row: Row, *, token: str, done: bool) -> str:
    places = (await places_by_delivery(work, [row["delivery_id"]])).get(row["delivery_id"], ())
    title, body = title_and_body(
        row["event_class"], language=row["language"], facts=row["facts"], account_ids=[p.account_id for p in places]
    )
    tap_here, tapped = _TAP[row["language"]]
    form = (
        f'<form method="post" action="{token}/acknowledge"><button style="font-size:1.2em">{tap_here}</button></form>'
    )
    button = f"<p><b>{tapped}</b></p>" if done else form
    return _PAGE.format(lang=row["language"], title=escape(title), body=escape(body), button=button)
