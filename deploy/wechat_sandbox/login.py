"""The web login: a page that asks the person, a code that works once for five minutes, and whose it was."""

from dataclasses import dataclass
from html import escape
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from deploy.wechat_sandbox.answers import Refused
from deploy.wechat_sandbox.forms import read_form
from deploy.wechat_sandbox.shell import HEADERS, page
from deploy.wechat_sandbox.world import World

CODE_LIFE_S = 300.0


@dataclass
class _Code:
    openid: str
    snapshot: bool
    ends_at_s: float
    used: bool = False


class LoginDesk:
    def __init__(self, *, world: World) -> None:
        self._world = world
        self._codes: dict[str, _Code] = {}

    def routes(self) -> list[Route]:
        return [
            Route("/connect/oauth2/authorize", self._ask, methods=["GET"]),
            Route("/connect/oauth2/authorize", self._confirm, methods=["POST"]),
        ]

    async def identity(self, request: Request, _: bytes) -> dict[str, Any]:
        """Raises `Refused` 40013, 40125, 40029, 40163 or 42003."""
        query, settings = request.query_params, self._world.settings
        if query.get("appid") != settings.app_id:
            raise Refused(40013)
        if query.get("secret") != settings.app_secret:
            raise Refused(40125)
        code = self._codes.get(query.get("code", ""))
        if code is None or query.get("grant_type") != "authorization_code":
            raise Refused(40029)
        if code.used:
            raise Refused(40163)
        if code.ends_at_s <= self._world.clock.seconds():
            raise Refused(42003)
        code.used = True
        answer: dict[str, Any] = {"access_token": "sandbox-login", "expires_in": 7200, "openid": code.openid,
                                  "refresh_token": "sandbox-refresh", "scope": "snsapi_base"}  # fmt: skip
        return answer | ({"is_snapshotuser": 1} if code.snapshot else {})

    async def _ask(self, request: Request) -> Response:
        """Whose phone this is: WeChat knows it, here somebody says so, or `openid` in the address does."""
        if problem := self._problem(request):
            return page("登录 · Login", f"<header>{escape(problem)}</header>", status=400)
        if (openid := request.query_params.get("openid")) is not None:
            return self._back(request, openid, snapshot=request.query_params.get("snapshot") == "1")
        people = "".join(
            f'<li><button name="openid" value="{escape(f.openid)}">{escape(f.nickname or f.openid)}</button></li>'
            for f in self._world.people.values()
        )
        form = (
            f'<form method="post" action="?{escape(urlencode(request.query_params))}" class="choice"><ol>{people}</ol>'
            '<label><input type="checkbox" name="snapshot" value="1"> 快照页 · preview page</label></form>'
        )
        return page("登录 · Login", f"<header>以谁的微信登录？<small>Whose WeChat?</small></header>{form}")

    async def _confirm(self, request: Request) -> Response:
        if problem := self._problem(request):
            return page("登录 · Login", f"<header>{escape(problem)}</header>", status=400)
        form = read_form(content_type="", raw=await request.body())
        openid = form["openid"].text if "openid" in form else ""
        return self._back(request, openid, snapshot="snapshot" in form)

    def _problem(self, request: Request) -> str:
        query = request.query_params
        target = urlsplit(query.get("redirect_uri", ""))
        if query.get("appid") != self._world.settings.app_id or query.get("response_type") != "code":
            return "appid 或 response_type 有误 · wrong appid or response_type"
        if target.scheme not in ("http", "https") or not target.hostname:
            return "redirect_uri 参数错误 · bad redirect_uri"
        state = query.get("state", "")
        return "" if state.isascii() and len(state) <= 128 else "state 有误 · bad state"

    def _back(self, request: Request, openid: str, *, snapshot: bool) -> Response:
        if openid not in self._world.people:
            return HTMLResponse("unknown openid", status_code=404, headers=HEADERS)
        code = f"{self._world.rng.getrandbits(128):032x}"
        shown = f"o-virtual-{code[:12]}" if snapshot else openid
        self._codes[code] = _Code(shown, snapshot, self._world.clock.seconds() + CODE_LIFE_S)
        target = request.query_params["redirect_uri"]
        joint = "&" if "?" in target else "?"
        state = quote(request.query_params.get("state", ""), safe="")
        return RedirectResponse(f"{target}{joint}code={code}&state={state}", status_code=302)
