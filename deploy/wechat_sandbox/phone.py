"""What one person sees: a page like the chat on a phone, Chinese first. Everything shown is escaped."""

from collections.abc import Mapping
from html import escape
from typing import Any
from urllib.parse import parse_qs, quote

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from deploy.wechat_sandbox.people import Follower, Standing
from deploy.wechat_sandbox.world import World

_CSS = """
body{margin:0;background:#dcdcdc;font:15px/1.5 system-ui,"PingFang SC","Microsoft YaHei","Noto Sans CJK SC",sans-serif}
main{max-width:26rem;min-height:100vh;margin:0 auto;background:#ededed;display:flex;flex-direction:column}
header{background:#ededed;border-bottom:1px solid #d5d5d5;padding:.6rem 1rem;text-align:center;position:sticky;top:0}
header small{display:block;color:#666}
ol{list-style:none;margin:0;padding:.8rem;flex:1}
li{margin:.5rem 0}
.time{text-align:center;color:#6b6b6b;font-size:.75rem}
.card,.bubble{background:#fff;border-radius:.5rem;padding:.7rem .9rem}
.bubble{display:inline-block;max-width:75%;white-space:pre-wrap;overflow-wrap:anywhere}
.mine{text-align:right}.mine .bubble{background:#95ec69;text-align:left}
dl{display:grid;grid-template-columns:auto 1fr;gap:.1rem .8rem;margin:.5rem 0}
dt{color:#666}dd{margin:0;overflow-wrap:anywhere}
.more{border-top:1px solid #eee;padding-top:.4rem;font-size:.85rem}
form{display:flex;gap:.5rem;padding:.5rem .8rem;border-top:1px solid #d5d5d5;background:#f7f7f7}
input{flex:1;min-width:0;font:inherit;padding:.35rem .5rem;border:1px solid #bbb;border-radius:.3rem}
button{font:inherit;padding:.35rem .8rem;border:0;border-radius:.3rem;background:#07864a;color:#fff}
button.plain{background:#fff;color:#333;border:1px solid #bbb}
a{color:#2b5a8c}
"""
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'",
    "Cache-Control": "no-store",
}
_STANDINGS = {
    Standing.FOLLOWING: "已关注 · following",
    Standing.BLOCKED: "已拒收 · messages blocked",
    Standing.UNSUBSCRIBED: "未关注 · not following",
    Standing.BLACKLISTED: "黑名单 · blacklisted",
    Standing.REFUSES: "拒绝通知 · refuses",
    Standing.REJECTS: "拒收消息 · rejects",
}


class Phones:
    def __init__(self, *, world: World) -> None:
        self._world = world

    def routes(self) -> list[Route]:
        return [
            Route("/sandbox/phone", self._index, methods=["GET"]),
            Route("/sandbox/phone/{openid}", self._show, methods=["GET"]),
            Route("/sandbox/phone/{openid}", self._do, methods=["POST"]),
        ]

    async def _index(self, _: Request) -> Response:
        journal = self._world.journal
        entries = "".join(
            f'<li class="card"><a href="/sandbox/phone/{quote(f.openid, safe="")}">{escape(f.nickname or f.openid)}</a>'
            f" · {_STANDINGS[f.standing]} · {sum(m['visible'] for m in journal.of_person.get(f.openid, []))} 条</li>"
            for f in self._world.people.values()
        )
        return _page("微信沙箱 · WeChat sandbox", f"<header>手机列表 · Phones</header><ol>{entries}</ol>")

    async def _show(self, request: Request) -> Response:
        follower = self._world.people.get(request.path_params["openid"])
        if follower is None:
            text = "没有这个 openid，请先登记粉丝。 Unknown openid, register the follower first."
            return _page("404", f"<header>{text}</header>", status=404)
        name = escape(follower.nickname or follower.openid)
        header = f"<header>{name}<small>{_STANDINGS[follower.standing]}</small></header>"
        return _page(f"{name} · 微信沙箱", header + f"<ol>{self._conversation(follower)}</ol>" + _forms(follower))

    async def _do(self, request: Request) -> Response:
        follower = self._world.people.get(request.path_params["openid"])
        if follower is None:
            return await self._show(request)
        form = parse_qs((await request.body()).decode("utf-8", "replace"))
        deed, text = form.get("deed", [""])[0], form.get("text", [""])[0].strip()
        if deed == "say" and text:
            self._world.say(follower=follower, text=text)
        elif deed == "subscribe":
            self._world.subscribe(follower=follower)
        elif deed == "unsubscribe":
            self._world.unsubscribe(follower=follower)
        return RedirectResponse(request.url.path, status_code=303, headers=_HEADERS)

    def _conversation(self, follower: Follower) -> str:
        received = [(m["virtual_at"], self._received(m)) for m in self._world.journal.of_person.get(follower.openid, [])
                    if m["visible"]]  # fmt: skip
        said = [(str(s["virtual_at"]), f'<div class="mine"><span class="bubble">{escape(str(s["text"]))}</span></div>')
                for s in follower.said]  # fmt: skip
        shown = sorted(received + said, key=lambda item: item[0])
        empty = '<li class="time">还没有消息 · no messages yet</li>'
        return "".join(f'<li><div class="time">{escape(at[:19])}Z</div>{html}</li>' for at, html in shown) or empty

    def _received(self, message: Mapping[str, Any]) -> str:
        if message["kind"] == "custom":
            return f'<span class="bubble">{escape(_plain(message))}</span>'
        template = self._world.templates.get(message["template_id"])
        labels = template.fields if template else {}
        rows = "".join(
            f"<dt>{escape(labels.get(name, name))}</dt><dd>{escape(str(value))}</dd>"
            for name, value in message["data"].items()
        )
        title = escape(template.title if template else message["template_id"])
        return f'<div class="card"><strong>{title}</strong><dl>{rows}</dl>{_link(message.get("url"))}</div>'


def _plain(message: Mapping[str, Any]) -> str:
    content = message["content"]
    if message["msgtype"] == "text":
        return str(content.get("content", ""))
    if message["msgtype"] == "msgmenu":
        choices = [f"· {entry.get('content', '')}" for entry in content.get("list", []) if isinstance(entry, Mapping)]
        return "\n".join([str(content.get("head_content", "")), *choices, str(content.get("tail_content", ""))])
    return f"[{message['msgtype']}]"


def _link(url: object) -> str:
    if not isinstance(url, str) or not url.startswith(("http://", "https://")):
        return ""
    return f'<div class="more"><a rel="noreferrer" href="{escape(url)}">查看详情 · Details</a></div>'


def _forms(follower: Follower) -> str:
    if follower.standing is Standing.UNSUBSCRIBED:
        return '<form method="post"><button name="deed" value="subscribe">关注 · Follow</button></form>'
    return (
        '<form method="post">'
        '<input name="text" aria-label="回复 · Reply" placeholder="回复 · Reply" autocomplete="off">'
        '<button name="deed" value="say">发送 · Send</button></form>'
        '<form method="post"><button class="plain" name="deed" value="unsubscribe">取消关注 · Unfollow</button></form>'
    )


def _page(title: str, content: str, *, status: int = 200) -> HTMLResponse:
    html = (
        '<!doctype html><html lang="zh-CN"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{title}</title><style>{_CSS}</style></head><body><main>{content}</main></body></html>"
    )
    return HTMLResponse(html, status_code=status, headers=_HEADERS)
