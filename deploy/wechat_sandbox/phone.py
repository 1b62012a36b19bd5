"""What one person sees, as on a telephone, and what they can do there. Everything shown is escaped."""

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from html import escape
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from deploy.wechat_sandbox.answers import Refused
from deploy.wechat_sandbox.forms import Part, read_form
from deploy.wechat_sandbox.people import Follower, Standing
from deploy.wechat_sandbox.shell import HEADERS, page
from deploy.wechat_sandbox.world import World

_BEIJING = timezone(timedelta(hours=8))
_STANDINGS = {
    Standing.FOLLOWING: "已关注 · following",
    Standing.BLOCKED: "已拒收 · messages blocked",
    Standing.UNSUBSCRIBED: "未关注 · not following",
    Standing.BLACKLISTED: "黑名单 · blacklisted",
    Standing.REFUSES: "拒绝通知 · refuses",
    Standing.REJECTS: "拒收消息 · rejects",
}
_MENU = {"MY_POWER": "我的用电", "REPAIR": "故障报修", "MANAGER": "联系经理"}


class Phones:
    def __init__(self, *, world: World) -> None:
        self._world = world

    def routes(self) -> list[Route]:
        return [
            Route("/sandbox/phone", self._index, methods=["GET"]),
            Route("/sandbox/phone/{openid}", self._show, methods=["GET"]),
            Route("/sandbox/phone/{openid}", self._do, methods=["POST"]),
            Route("/sandbox/media/{media_id}", self._picture, methods=["GET"]),
        ]

    async def _index(self, _: Request) -> Response:
        entries = "".join(self._entry(f) for f in self._world.people.values())
        empty = '<li class="time">还没有粉丝 · no followers yet</li>'
        header = "<header>手机列表<small>Phones of the sandbox</small></header>"
        return self._page("微信沙箱 · WeChat sandbox", f"{header}<ol>{entries or empty}</ol>")

    def _entry(self, follower: Follower) -> str:
        name = follower.nickname or follower.openid
        count = sum(m["visible"] for m in self._world.journal.of_person.get(follower.openid, []))
        return (
            f'<li><a class="person" href="/sandbox/phone/{quote(follower.openid, safe="")}">'
            f'<span class="face" style="flex:none">{escape(name[:1])}</span>'
            f"<span>{escape(name)}<small>{_STANDINGS[follower.standing]}</small></span>"
            f'<span class="count" title="消息 · messages">{count}</span></a></li>'
        )

    async def _show(self, request: Request, problem: str = "") -> Response:
        follower = self._world.people.get(request.path_params["openid"])
        if follower is None:
            text = "没有这个 openid，请先登记粉丝。 Unknown openid, register the follower first."
            return self._page("404", f"<header>{text}</header>", status=404)
        name = escape(follower.nickname or follower.openid)
        header = (
            '<header><a href="/sandbox/phone" aria-label="返回 · Back">‹</a>供电服务号'
            f"<small>{name} · {escape(problem) or _STANDINGS[follower.standing]}</small></header>"
        )
        talk = f'<ol class="talk" tabindex="0" aria-label="会话 · Conversation">{self._conversation(follower)}</ol>'
        status = 422 if problem else 200
        return self._page(f"{name} · 微信沙箱", header + talk + _forms(follower), status=status)

    async def _do(self, request: Request) -> Response:
        follower = self._world.people.get(request.path_params["openid"])
        if follower is None:
            return await self._show(request)
        try:
            form = read_form(content_type=request.headers.get("content-type", ""), raw=await request.body())
            self._deed(follower, form)
        except Refused as refused:
            return await self._show(request, problem=f"{refused.code} {refused.text}")
        return RedirectResponse(request.url.path, status_code=303, headers=HEADERS)

    def _deed(self, follower: Follower, form: Mapping[str, Part]) -> None:
        """Raises `Refused` for a photo that WeChat would not take."""
        world, deed, text = self._world, _text(form, "deed"), _text(form, "text").strip()
        key, label = _text(form, "tap").partition("|")[::2]
        if (photo := form.get("photo")) is not None and photo.filename:
            world.show(follower=follower, content_type=photo.content_type, content=photo.content)
        elif deed == "say" and text:
            world.say(follower=follower, text=text)
        elif key:
            world.choose(follower=follower, choice_id=key, label=label)
        elif deed in _MENU:
            world.click(follower=follower, key=deed)
        elif deed == "subscribe":
            world.subscribe(follower=follower)
        elif deed == "unsubscribe":
            world.unsubscribe(follower=follower)

    async def _picture(self, request: Request) -> Response:
        try:
            stored = self._world.media.get(media_id=request.path_params["media_id"])
        except Refused:
            return Response(status_code=404)
        headers = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox"}
        return Response(stored.content, media_type=stored.content_type, headers=headers)

    def _page(self, title: str, content: str, *, status: int = 200) -> Response:
        return page(title, content, status=status, clock=f"{self._world.clock.now().astimezone(_BEIJING):%H:%M}")

    def _conversation(self, follower: Follower) -> str:
        """Newest first in the source: the page shows it from below, as a telephone does."""
        received = [(m["virtual_at"], self._received(m)) for m in self._world.journal.of_person.get(follower.openid, [])
                    if m["visible"]]  # fmt: skip
        said = [(str(s["virtual_at"]), _mine(follower, s)) for s in follower.said]
        shown = sorted(received + said, key=lambda item: item[0], reverse=True)
        empty = '<li class="time">还没有消息 · no messages yet</li>'
        before = [*(at for at, _ in shown[1:]), ""][: len(shown)]
        items = (
            f"<li>{'' if _when(at) == _when(last) else _stamp(at)}{html}</li>"
            for (at, html), last in zip(shown, before, strict=True)
        )
        return "".join(items) or empty

    def _received(self, message: Mapping[str, Any]) -> str:
        if message["kind"] == "custom":
            return _theirs(message)
        template = self._world.templates.get(message["template_id"])
        labels = template.fields if template else {}
        rows = "".join(
            f"<dt>{escape(labels.get(name, name))}</dt><dd>{escape(str(value))}</dd>"
            for name, value in message["data"].items()
        )
        title = escape(template.title if template else message["template_id"])
        return f'<div class="card"><strong>{title}</strong><dl>{rows}</dl>{_link(message.get("url"))}</div>'


def _text(form: Mapping[str, Part], name: str) -> str:
    return form[name].text if name in form else ""


def _when(iso: str) -> str:
    return f"{datetime.fromisoformat(iso).astimezone(_BEIJING):%m月%d日 %H:%M}" if iso else ""


def _stamp(iso: str) -> str:
    return f'<div class="time">{_when(iso)}</div>'


def _mine(follower: Follower, said: Mapping[str, object]) -> str:
    face = escape((follower.nickname or follower.openid)[:1])
    bubble = f'<span class="bubble">{escape(str(said["text"]))}</span>'
    if (media_id := said.get("media_id")) is not None:
        source = f"/sandbox/media/{quote(str(media_id), safe='')}"
        bubble = f'<span class="bubble picture"><img src="{source}" alt="照片 · photo"></span>'
    return f'<div class="line mine"><span class="face" aria-hidden="true">{face}</span>{bubble}</div>'


def _theirs(message: Mapping[str, Any]) -> str:
    content, choices = message["content"], ""
    match message["msgtype"]:
        case "text":
            text = str(content.get("content", ""))
        case "msgmenu":
            text = "\n".join(filter(None, (str(content.get("head_content", "")), str(content.get("tail_content", "")))))
            given = [e for e in content.get("list", []) if isinstance(e, Mapping)]
            entries = [(str(e.get("id", "")), str(e.get("content", ""))) for e in given]
            choices = "".join(
                f'<button class="tap" name="tap" value="{escape(id_)}|{escape(label)}">{escape(label)}</button>'
                for id_, label in entries
            )
        case other:
            text = f"[{other}]"
    form = f'<form method="post">{choices}</form>' if choices else ""
    bubble = f'<div class="bubble">{escape(text)}{form}</div>'
    return f'<div class="line"><span class="face" aria-hidden="true">电</span>{bubble}</div>'


def _link(url: object) -> str:
    if not isinstance(url, str) or not url.startswith(("http://", "https://")):
        return ""
    return f'<a class="more" rel="noreferrer" href="{escape(url)}">查看详情 · Details</a>'


def _forms(follower: Follower) -> str:
    if follower.standing is Standing.UNSUBSCRIBED:
        return '<form method="post" class="wide"><button name="deed" value="subscribe">关注 · Follow</button></form>'
    menu = "".join(f'<button name="deed" value="{key}">{label}</button>' for key, label in _MENU.items())
    return (
        '<form method="post" id="photo-form" enctype="multipart/form-data">'
        '<button class="quiet" name="deed" value="photo">发送所选照片 · Send the chosen photo</button></form>'
        '<form method="post" class="say">'
        '<input name="text" aria-label="回复 · Reply" placeholder="回复 · Reply" autocomplete="off">'
        '<label class="photo" title="照片 · Photo">+<input type="file" name="photo" accept="image/*"'
        ' aria-label="照片 · Photo" required form="photo-form"></label>'
        '<button name="deed" value="say">发送</button></form>'
        f'<form method="post" class="menu">{menu}</form>'
        '<form method="post"><button class="quiet" name="deed" value="unsubscribe">取消关注 · Unfollow</button></form>'
    )
