"""/sandbox: what a test or a demo arranges, and what it counts from outside."""

from collections.abc import Awaitable, Callable
from typing import Any, Literal, TypeVar

from pydantic import Base64Bytes, BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from deploy.wechat_sandbox.faults import Fault
from deploy.wechat_sandbox.people import Follower, Standing
from deploy.wechat_sandbox.push import Tamper
from deploy.wechat_sandbox.templates import Template
from deploy.wechat_sandbox.world import World

Body = TypeVar("Body", bound=BaseModel)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class PersonIn(_Strict):
    openid: str = Field(min_length=1, max_length=64)
    nickname: str = ""
    standing: Standing = Standing.FOLLOWING
    consents: dict[str, int] = Field(default={}, description="template id -> count, -1 without limit")


class PeopleIn(_Strict):
    followers: list[PersonIn]


class TemplatesIn(_Strict):
    templates: list[Template]


class DeedIn(_Strict):
    """One thing that a person does on the phone; each pushes what WeChat would push."""

    deed: Literal["subscribe", "unsubscribe", "scan", "say", "click", "accept", "reject", "show", "choose", "revoke"]
    scene: str = ""
    text: str = ""
    key: str = ""
    template_id: str = ""
    picture: Base64Bytes = b""


class ClockIn(_Strict):
    frozen: bool | None = None
    jump_s: float = Field(default=0.0, ge=0)


class QuotasIn(_Strict):
    per_day: dict[str, int] = {}
    per_minute: dict[str, int] = {}


class PushIn(_Strict):
    openid: str
    msg_type: str = "event"
    fields: dict[str, Any] = {}
    tamper: Tamper | None = None


class NotThere(Exception):
    """Raised for an unknown openid; answered 404 with the remedy."""


class Admin:
    def __init__(self, *, world: World) -> None:
        self._world = world

    def routes(self) -> list[Route]:
        return [
            _route("health", "GET", self._health),
            _route("clock", "GET", self._clock),
            _route("clock", "POST", self._move_clock),
            _route("behaviour", "GET", self._behaviour),
            _route("behaviour", "POST", self._change_behaviour),
            _route("quotas", "POST", self._set_quotas),
            _route("followers", "GET", self._followers),
            _route("followers", "POST", self._put_followers),
            _route("followers/{openid}/deeds", "POST", self._deed),
            _route("templates", "POST", self._put_templates),
            _route("templates/{template_id}", "DELETE", self._delete_template),
            _route("faults", "GET", self._faults),
            _route("faults", "POST", self._arm_fault),
            _route("faults", "DELETE", self._clear_faults),
            _route("tokens/revoke", "POST", self._revoke_tokens),
            _route("messages", "GET", self._messages),
            _route("calls", "GET", self._calls),
            _route("pushes", "GET", self._pushes),
            _route("pushes", "POST", self._push),
            _route("address-check", "POST", self._check_address),
        ]

    async def _health(self, _: Request) -> object:
        return {"sandbox": True, "messages": len(self._world.journal.messages), "people": len(self._world.people)}

    async def _clock(self, _: Request) -> object:
        clock = self._world.clock
        return {"now": clock.now().isoformat(), "frozen": clock.frozen}

    async def _move_clock(self, request: Request) -> object:
        body, clock = await _read(request, ClockIn), self._world.clock
        if body.frozen is True:
            clock.freeze()
        elif body.frozen is False:
            clock.run()
        clock.jump(seconds=body.jump_s)
        return await self._clock(request)

    async def _behaviour(self, _: Request) -> object:
        return self._world.behaviour.model_dump()

    async def _change_behaviour(self, request: Request) -> object:
        """Only the given settings change; a bad one changes nothing."""
        behaviour = self._world.behaviour
        changed = type(behaviour).model_validate(behaviour.model_dump() | await _object(request))
        for name in type(behaviour).model_fields:
            setattr(behaviour, name, getattr(changed, name))
        return behaviour.model_dump()

    async def _set_quotas(self, request: Request) -> object:
        body, quotas = await _read(request, QuotasIn), self._world.quotas
        quotas.per_day.update(body.per_day)
        quotas.per_minute.update(body.per_minute)
        return {"per_day": quotas.per_day, "per_minute": quotas.per_minute}

    async def _followers(self, _: Request) -> object:
        return {"followers": [_person(f) for f in self._world.people.values()]}

    async def _put_followers(self, request: Request) -> object:
        body = await _read(request, PeopleIn)
        for given in body.followers:
            follower = self._world.people.setdefault(given.openid, Follower(given.openid))
            follower.nickname, follower.standing = given.nickname or follower.nickname, given.standing
            follower.consents.update(given.consents)
        return {"followers": len(self._world.people)}

    async def _deed(self, request: Request) -> object:
        world, body = self._world, await _read(request, DeedIn)
        openid = request.path_params["openid"]
        if body.deed in ("subscribe", "scan"):
            follower = world.people.setdefault(openid, Follower(openid))
        elif (known := world.people.get(openid)) is not None:
            follower = known
        else:
            raise NotThere
        return _person(follower) | {"msgid": _do(world, follower, body)}

    async def _put_templates(self, request: Request) -> object:
        body = await _read(request, TemplatesIn)
        for template in body.templates:
            self._world.templates[template.template_id] = template
        return {"templates": sorted(self._world.templates)}

    async def _delete_template(self, request: Request) -> object:
        if self._world.templates.pop(request.path_params["template_id"], None) is None:
            raise NotThere
        return {"templates": sorted(self._world.templates)}

    async def _faults(self, _: Request) -> object:
        return {"faults": self._world.faults.view()}

    async def _arm_fault(self, request: Request) -> object:
        return {"number": self._world.faults.arm(fault=await _read(request, Fault))}

    async def _clear_faults(self, _: Request) -> object:
        self._world.faults.clear()
        return {"faults": []}

    async def _revoke_tokens(self, _: Request) -> object:
        self._world.tokens.revoke_all()
        return {"revoked": True}

    async def _messages(self, request: Request) -> object:
        """`?openid=&template_id=&kind=&after=<seq>&limit=&all=1`; without `all` only what a person could see."""
        query = request.query_params
        journal = self._world.journal
        openid = query.get("openid")
        chosen = journal.messages if openid is None else journal.of_person.get(openid, [])
        for name in ("template_id", "kind", "client_msg_id"):
            if (wanted := query.get(name)) is not None:
                chosen = [m for m in chosen if m.get(name) == wanted]
        if query.get("all") != "1":
            chosen = [m for m in chosen if m["visible"]]
        after = _number(query.get("after"), 0)
        chosen = [m for m in chosen if m["seq"] > after] if after else chosen
        return {"count": len(chosen), "messages": chosen[: _number(query.get("limit"), 1_000)]}

    async def _calls(self, _: Request) -> object:
        return {"calls": dict(self._world.calls), "tokens_issued": self._world.tokens.issued}

    async def _pushes(self, _: Request) -> object:
        return {"outstanding": self._world.pusher.outstanding, "pushes": list(self._world.pusher.log)}

    async def _push(self, request: Request) -> object:
        body = await _read(request, PushIn)
        follower = self._world.people.get(body.openid)
        if follower is None:
            raise NotThere
        head = self._world.head(follower=follower, msg_type=body.msg_type)
        await self._world.pusher.deliver(fields=head | body.fields, tamper=body.tamper)
        return self._world.pusher.log[-1]

    async def _check_address(self, _: Request) -> object:
        return {"accepted": await self._world.pusher.check_address()}


def _do(world: World, follower: Follower, deed: DeedIn) -> int | None:
    """The MsgId of what the person said by it. Raises `Refused` for a picture that WeChat would not take."""
    match deed.deed:
        case "subscribe":
            world.subscribe(follower=follower, scene=deed.scene or None)
        case "unsubscribe":
            world.unsubscribe(follower=follower)
        case "scan":
            world.scan(follower=follower, scene=deed.scene)
        case "click":
            world.click(follower=follower, key=deed.key)
        case "revoke":
            world.revoke(follower=follower)
        case "accept" | "reject":
            world.answer_consent(follower=follower, template_id=deed.template_id, accepted=deed.deed == "accept")
        case "say":
            return world.say(follower=follower, text=deed.text)
        case "choose":
            return world.choose(follower=follower, choice_id=deed.key, label=deed.text)
        case "show":
            return world.show(follower=follower, content_type="image/jpeg", content=deed.picture)
    return None


def _route(path: str, method: str, handler: Callable[[Request], Awaitable[object]]) -> Route:
    async def endpoint(request: Request) -> Response:
        try:
            return JSONResponse(await handler(request))
        except ValidationError as invalid:
            problems = [{"field": ".".join(map(str, e["loc"])), "problem": e["msg"]} for e in invalid.errors()]
            return JSONResponse({"problems": problems}, status_code=422)
        except NotThere:
            remedy = "未登记，请先 POST /sandbox/followers。 Not registered, POST /sandbox/followers first."
            return JSONResponse({"problem": remedy}, status_code=404)

    return Route(f"/sandbox/{path}", endpoint, methods=[method], name=f"{method} {path}")


async def _read(request: Request, model: type[Body]) -> Body:
    return model.model_validate_json(await request.body() or b"{}")


class _Object(BaseModel):
    model_config = ConfigDict(extra="allow")


async def _object(request: Request) -> dict[str, Any]:
    return (await _read(request, _Object)).model_extra or {}


def _number(text: str | None, default: int) -> int:
    return int(text) if text and text.isascii() and text.isdigit() else default


def _person(follower: Follower) -> dict[str, Any]:
    return {"openid": follower.openid, "nickname": follower.nickname, "standing": follower.standing.value,
            "consents": follower.consents, "said": follower.said}  # fmt: skip
