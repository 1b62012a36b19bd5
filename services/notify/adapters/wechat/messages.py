"""Bodies of the three ways to send, as WeChat spells them."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

MAX_TEXT_BYTES = 2048
"""Measured by others for replies; more is answered 45002."""


def client_msg_id(*, delivery_id: UUID) -> str:
    """The same for every attempt of a delivery, so that WeChat shows the message once (for ten minutes)."""
    return hashlib.sha256(delivery_id.bytes).hexdigest()[:32]


@dataclass(frozen=True, slots=True, kw_only=True)
class MiniProgram:
    app_id: str
    page_path: str

    def body(self) -> dict[str, str]:
        return {"appid": self.app_id, "pagepath": self.page_path}


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateMessage:
    """`values` by field name, such as `thing1`; checked with `fields.validate` when the template is saved.

    With both `url` and `mini_program` the mini program wins and the url serves old clients.
    """

    openid: str
    template_id: str
    values: Mapping[str, str]
    client_msg_id: str
    url: str | None = None
    mini_program: MiniProgram | None = None

    def body(self) -> dict[str, object]:
        body: dict[str, object] = {
            "touser": self.openid,
            "template_id": self.template_id,
            "client_msg_id": self.client_msg_id,
            "data": _data(self.values),
        }
        if self.url is not None:
            body["url"] = self.url
        if self.mini_program is not None:
            body["miniprogram"] = self.mini_program.body()
        return body


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscribeMessage:
    """Uses up one consent of the person, unless the consent is a long-term one."""

    openid: str
    template_id: str
    values: Mapping[str, str]
    page: str | None = None
    mini_program: MiniProgram | None = None

    def body(self) -> dict[str, object]:
        body: dict[str, object] = {
            "touser": self.openid,
            "template_id": self.template_id,
            "data": _data(self.values),
        }
        if self.page is not None:
            body["page"] = self.page
        if self.mini_program is not None:
            body["miniprogram"] = self.mini_program.body()
        return body


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomMessage:
    """A message of a running conversation (客服消息); allowed for a while after the person did something."""

    openid: str
    msg_type: str
    content: Mapping[str, object]

    def body(self) -> dict[str, object]:
        return {"touser": self.openid, "msgtype": self.msg_type, self.msg_type: self.content}


def custom_text(*, openid: str, text: str) -> CustomMessage:
    return CustomMessage(openid=openid, msg_type="text", content={"content": text})


def custom_image(*, openid: str, media_id: str) -> CustomMessage:
    return CustomMessage(openid=openid, msg_type="image", content={"media_id": media_id})


def custom_menu(*, openid: str, head: str, choices: Sequence[tuple[str, str]], tail: str = "") -> CustomMessage:
    """`choices` are (id, label); a tap comes back as a text message with `bizmsgmenuid`."""
    entries = [{"id": id_, "content": label} for id_, label in choices]
    content = {"head_content": head, "list": entries, "tail_content": tail}
    return CustomMessage(openid=openid, msg_type="msgmenu", content=content)


def split_text(*, text: str, max_bytes: int = MAX_TEXT_BYTES) -> Iterator[str]:
    """Pieces of at most `max_bytes` of UTF-8, cut between characters."""
    piece: list[str] = []
    used = 0
    for character in text:
        size = len(character.encode("utf-8", "replace"))
        if used + size > max_bytes and piece:
            yield "".join(piece)
            piece, used = [], 0
        piece.append(character)
        used += size
    if piece:
        yield "".join(piece)


def _data(values: Mapping[str, str]) -> dict[str, dict[str, str]]:
    return {field: {"value": value} for field, value in values.items()}
