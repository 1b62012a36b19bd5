"""The three ways to send, as pure steps on the world; a coroutine only where a receipt goes out first."""

import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from deploy.wechat_sandbox.answers import Refused
from deploy.wechat_sandbox.people import REFUSALS, Follower, Standing
from deploy.wechat_sandbox.templates import Template
from deploy.wechat_sandbox.world import World

DEDUPE_S = 600.0
_MAX_CLIENT_MSG_ID = 64
_MAX_TEXT_BYTES = 2048
_ESCAPED_UNICODE = re.compile(rb"(?<!\\)(?:\\\\)*\\u[0-9a-fA-F]{4}")
_CUSTOM_TYPES = frozenset({
    "text", "image", "voice", "video", "music", "news", "mpnews", "mpnewsarticle", "msgmenu", "wxcard",
    "miniprogrampage",
})  # fmt: skip


def read_body(*, raw: bytes) -> dict[str, Any]:
    """Raises `Refused` 44002, 40033 or 47001."""
    if not raw.strip():
        raise Refused(44002)
    if _ESCAPED_UNICODE.search(raw):
        raise Refused(40033)
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        raise Refused(47001) from None
    if not isinstance(body, dict):
        raise Refused(47001)
    return body


class Sender:
    def __init__(self, *, world: World) -> None:
        self._world = world
        self._sent: dict[tuple[str, str], tuple[int, float]] = {}
        for entry in world.journal.messages:
            if entry.get("client_msg_id"):
                self._sent[entry["openid"], entry["client_msg_id"]] = (entry["msgid"], _epoch(entry["virtual_at"]))

    async def template(self, body: Mapping[str, Any]) -> dict[str, Any]:
        world = self._world
        follower = world.person(openid=body.get("touser"))
        template = world.template(template_id=body.get("template_id"))
        values = template.values_of(data=body.get("data"))
        if (code := REFUSALS.get(follower.standing)) is not None:
            raise Refused(code)
        _check_mini_program(body.get("miniprogram"))
        repeated = self._repeated(follower, body.get("client_msg_id"))
        if repeated is not None:
            if world.behaviour.duplicate_answer == "error":
                raise Refused(world.behaviour.duplicate_errcode)
            return {"errcode": 0, "errmsg": "ok", "msgid": repeated}
        status = self._status(follower)
        msgid = self._record(
            follower,
            kind="template",
            visible=status == "success",
            template=template,
            values=values,
            details={
                "url": body.get("url"),
                "miniprogram": body.get("miniprogram"),
                "client_msg_id": body.get("client_msg_id"),
                "status": status,
            },
        )
        await self._receipt(follower, msgid, status)
        return {"errcode": 0, "errmsg": "ok", "msgid": msgid}

    async def subscribe(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Answers without msgid, as WeChat does; only the later event carries one."""
        world = self._world
        follower = world.person(openid=body.get("touser"))
        template = world.template(template_id=body.get("template_id"))
        values = template.values_of(data=body.get("data"))
        follower.take_consent(template_id=template.template_id)
        details = {"page": body.get("page"), "miniprogram": body.get("miniprogram")}
        msgid = self._record(follower, kind="subscribe", template=template, values=values, details=details)
        entry = {"TemplateId": template.template_id, "MsgID": str(msgid), "ErrorCode": "0", "ErrorStatus": "success"}
        lists = {"List": entry}
        fields = lists if world.behaviour.push_format == "json" else {"SubscribeMsgSentEvent": lists}
        world.push_event(follower=follower, event="subscribe_msg_sent_event", **fields)
        return {"errcode": 0, "errmsg": "ok"}

    async def custom(self, body: Mapping[str, Any]) -> dict[str, Any]:
        world = self._world
        follower = world.person(openid=body.get("touser"))
        kind = body.get("msgtype")
        if kind not in _CUSTOM_TYPES:
            raise Refused(40008)
        content = body.get(kind)
        if not isinstance(content, Mapping) or not content:
            raise Refused(44004)
        if kind == "text":
            _check_text(content.get("content"))
        if follower.standing is not Standing.FOLLOWING and follower.standing is not Standing.BLOCKED:
            raise Refused(REFUSALS[follower.standing])
        follower.take_from_window(now_s=world.clock.seconds())
        self._record(follower, kind="custom", details={"msgtype": kind, "content": content})
        return {"errcode": 0, "errmsg": "ok"}

    def _repeated(self, follower: Follower, client_msg_id: object) -> int | None:
        """The msgid of the first acceptance within ten minutes. Raises `Refused` 45067."""
        if client_msg_id is None:
            return None
        if not isinstance(client_msg_id, str) or len(client_msg_id) > _MAX_CLIENT_MSG_ID:
            raise Refused(45067)
        msgid, accepted_at_s = self._sent.get((follower.openid, client_msg_id), (0, float("-inf")))
        return msgid if self._world.clock.seconds() - accepted_at_s < DEDUPE_S else None

    def _status(self, follower: Follower) -> str:
        behaviour = self._world.behaviour
        if follower.standing is Standing.BLOCKED:
            return "failed:user block"
        if behaviour.next_statuses:
            return behaviour.next_statuses.pop(0)
        choices = behaviour.receipt_statuses
        return self._world.rng.choices(list(choices), weights=list(choices.values()))[0]

    def _record(
        self,
        follower: Follower,
        *,
        kind: str,
        details: Mapping[str, object],
        visible: bool = True,
        template: Template | None = None,
        values: Mapping[str, str] | None = None,
    ) -> int:
        world = self._world
        msgid = world.journal.next_msgid()
        entry = {"kind": kind, "openid": follower.openid, "msgid": msgid, "visible": visible}
        if template is not None:
            entry |= {"template_id": template.template_id, "data": values}
        world.journal.record(entry=entry | dict(details), virtual_at=world.clock.now())
        if (id_ := details.get("client_msg_id")) is not None:
            self._sent[follower.openid, str(id_)] = (msgid, world.clock.seconds())
        return msgid

    async def _receipt(self, follower: Follower, msgid: int, status: str) -> None:
        world, behaviour = self._world, self._world.behaviour
        if world.rng.random() < behaviour.receipt_loss:
            return
        fields = world.head(follower=follower, msg_type="event")
        fields |= {"Event": "TEMPLATESENDJOBFINISH", "MsgID": msgid, "Status": status}
        if behaviour.receipt_before_answer:
            await world.pusher.deliver(fields=fields)
            return
        for _ in range(2 if world.rng.random() < behaviour.receipt_double else 1):
            wait_s = behaviour.receipt_delay_s + world.rng.random() * behaviour.receipt_jitter_s
            world.pusher.start(fields=fields, at_s=world.clock.seconds() + wait_s)


def _check_mini_program(mini_program: object) -> None:
    if mini_program is None:
        return
    if not isinstance(mini_program, Mapping) or not str(mini_program.get("appid", "")).startswith("wx"):
        raise Refused(40013)


def _check_text(text: object) -> None:
    if not isinstance(text, str) or not text:
        raise Refused(44004)
    if len(text.encode()) > _MAX_TEXT_BYTES:
        raise Refused(45002)


def _epoch(iso: str) -> float:
    return datetime.fromisoformat(iso).timestamp()
