"""What WeChat pushes to us: authenticity, decryption, XML or JSON, and the key that makes a repetition visible.

WeChat sends a push up to three times when no answer came within five seconds. Whoever receives one stores it under
`dedupe_key` and answers `ANSWER`; everything else happens later.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeAlias
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from services.notify.adapters.wechat.crypto import (
    Envelope,
    EnvelopeKey,
    EnvelopeRefused,
    push_signature,
    same_signature,
)

ANSWER = "success"
MAX_BODY_BYTES = 64 * 1024
MAX_AGE_S = 300
_MAX_DEPTH = 8

Node: TypeAlias = "str | list[Node] | dict[str, Node]"
Fields: TypeAlias = "dict[str, Node]"


class CallbackRefused(Exception):
    """Not authentic: answer 403 and say nothing more. `reason` is for the log."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class CallbackUnreadable(Exception):
    """Authentic but not of a known form: keep the bytes as a dead letter and answer `success`."""


@dataclass(frozen=True, slots=True)
class CallbackSecurity:
    """How one account pushes.

    `require_encryption` is right for 安全模式 and 兼容模式: in 明文模式 the signature does not cover the body.
    """

    token: str = field(repr=False)
    envelope: Envelope | None = None
    require_encryption: bool = True
    max_age_s: int = MAX_AGE_S


@dataclass(frozen=True, slots=True)
class Callback:
    """`event` is empty for a message. `openid` is the person's. `created_at` is WeChat's, whole seconds."""

    openid: str
    account: str
    created_at: datetime
    msg_type: str
    event: str
    dedupe_key: str
    fields: Fields = field(repr=False)
    key: EnvelopeKey | None = None

    def text(self, name: str) -> str:
        """A leaf's text, empty if it is missing or not a leaf."""
        value = self.fields.get(name, "")
        return value if isinstance(value, str) else ""


def open_address_check(*, query: Mapping[str, str], security: CallbackSecurity, now: datetime) -> str:
    """The `echostr` to answer as bare text when WeChat checks the callback address. Raises `CallbackRefused`."""
    _check_age(query, security, now)
    _check_signature(query, "signature", token=security.token)
    return query.get("echostr", "")


def open_callback(*, query: Mapping[str, str], body: bytes, security: CallbackSecurity, now: datetime) -> Callback:
    """Checks, decrypts and reads one push.

    Raises `CallbackRefused` before anything of the content is believed, `CallbackUnreadable` after.
    """
    if len(body) > MAX_BODY_BYTES:
        raise CallbackRefused("body over 64 KiB")
    _check_age(query, security, now)
    _check_signature(query, "signature", token=security.token)
    try:
        outer = parse_fields(body=body)
    except CallbackUnreadable as unreadable:
        if security.require_encryption:
            # Nothing in an unencrypted body is signed, so nothing says that it came from WeChat.
            raise CallbackRefused("unreadable envelope") from unreadable
        raise
    encrypted = outer.get("Encrypt")
    if encrypted is None or security.envelope is None:
        if security.require_encryption:
            raise CallbackRefused("plain push where encryption is required")
        return read_callback(fields=outer)
    return _open_encrypted(query, encrypted, security.envelope, security.token)


def _open_encrypted(query: Mapping[str, str], encrypted: Node, envelope: Envelope, token: str) -> Callback:
    if not isinstance(encrypted, str):
        raise CallbackRefused("Encrypt is not text")
    _check_signature(query, "msg_signature", token=token, encrypted=encrypted)
    try:
        opened = envelope.open(encrypted=encrypted)
    except EnvelopeRefused:
        raise CallbackRefused("envelope refused") from None
    # In compatible mode plain fields stand beside Encrypt: only what was sealed counts.
    return read_callback(fields=parse_fields(body=opened.message), key=opened.key)


def _check_age(query: Mapping[str, str], security: CallbackSecurity, now: datetime) -> None:
    stamp = query.get("timestamp", "")
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) <= 12):
        raise CallbackRefused("timestamp missing")
    if abs(now.timestamp() - int(stamp)) > security.max_age_s:
        raise CallbackRefused("timestamp too far from now")


def _check_signature(query: Mapping[str, str], name: str, *, token: str, encrypted: str | None = None) -> None:
    computed = push_signature(
        token=token, timestamp=query.get("timestamp", ""), nonce=query.get("nonce", ""), encrypted=encrypted
    )
    if not same_signature(computed=computed, given=query.get(name, "")):
        raise CallbackRefused(f"{name} does not match")


def parse_fields(*, body: bytes) -> Fields:
    """XML or JSON, by its first character; leaves are text, repeated elements lists. Raises `CallbackUnreadable`."""
    parse: Callable[[bytes], object] = _from_json if body.lstrip()[:1] == b"{" else _from_xml
    try:
        fields = parse(body)
    except (ParseError, DefusedXmlException, ValueError, LookupError, RecursionError) as broken:
        raise CallbackUnreadable(f"neither XML nor JSON: {type(broken).__name__}") from None
    if not isinstance(fields, dict):
        raise CallbackUnreadable("no fields")
    return fields


def _from_xml(body: bytes) -> object:
    return _node_of_element(fromstring(body, forbid_dtd=True), depth=0)


def _node_of_element(element: Element, *, depth: int) -> Node:
    if depth > _MAX_DEPTH:
        raise ValueError("too deep")
    children = list(element)
    if not children:
        return element.text or ""
    grouped: dict[str, list[Node]] = {}
    for child in children:
        grouped.setdefault(child.tag, []).append(_node_of_element(child, depth=depth + 1))
    return {tag: nodes[0] if len(nodes) == 1 else nodes for tag, nodes in grouped.items()}


def _from_json(body: bytes) -> object:
    return _node_of_json(json.loads(body.decode("utf-8")), depth=0)


def _node_of_json(value: Any, *, depth: int) -> Node:
    if depth > _MAX_DEPTH:
        raise ValueError("too deep")
    if isinstance(value, dict):
        return {str(name): _node_of_json(node, depth=depth + 1) for name, node in value.items()}
    if isinstance(value, list):
        return [_node_of_json(node, depth=depth + 1) for node in value]
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def read_callback(*, fields: Fields, key: EnvelopeKey | None = None) -> Callback:
    """Raises `CallbackUnreadable` naming the missing field."""

    def leaf(name: str, *, required: bool = True) -> str:
        value = fields.get(name, "")
        if not isinstance(value, str) or (required and not value):
            raise CallbackUnreadable(f"{name} is missing or not text")
        return value

    created = leaf("CreateTime")
    if not (created.isascii() and created.isdigit() and len(created) <= 11):
        raise CallbackUnreadable("CreateTime is not a time")
    msg_type = leaf("MsgType")
    event = leaf("Event") if msg_type == "event" else ""
    return Callback(
        openid=leaf("FromUserName"),
        account=leaf("ToUserName"),
        created_at=datetime.fromtimestamp(int(created), UTC),
        msg_type=msg_type,
        event=event,
        dedupe_key=_dedupe_key(leaf, event=event),
        fields=fields,
        key=key,
    )


def _dedupe_key(leaf: Callable[..., str], *, event: str) -> str:
    """Two different events of one person in one second share FromUserName and CreateTime, so the event counts too."""
    if not event:
        return f"msg:{leaf('MsgId')}"
    if event == "TEMPLATESENDJOBFINISH":
        return f"event:{event}:{leaf('MsgID')}"
    key = leaf("EventKey", required=False)
    return f"event:{leaf('FromUserName')}:{leaf('CreateTime')}:{event}:{key}"


def as_list(node: "Node | None") -> list[Node]:
    """`List` is an object for one entry and an array for several: always a list here."""
    if node is None or node == "":
        return []
    return node if isinstance(node, list) else [node]
