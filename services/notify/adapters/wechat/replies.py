"""Passive replies in the answer to a push; built as a tree, so that no text can break out of its element."""

import re
from xml.etree.ElementTree import Element, SubElement, tostring

from services.notify.adapters.wechat.crypto import Envelope, EnvelopeKey, push_signature


def text_reply(*, openid: str, account: str, created_at_s: int, content: str) -> str:
    fields = {
        "ToUserName": openid,
        "FromUserName": account,
        "CreateTime": str(created_at_s),
        "MsgType": "text",
        "Content": content,
    }
    return _xml(fields)


def sealed_reply(
    *, reply: str, envelope: Envelope, key: EnvelopeKey | None, token: str, timestamp: str, nonce: str
) -> str:
    """`key` is the one that opened the push (`Callback.key`): WeChat may still be using the last one."""
    encrypted = envelope.seal(message=reply.encode(), key=key)
    signature = push_signature(token=token, timestamp=timestamp, nonce=nonce, encrypted=encrypted)
    fields = {"Encrypt": encrypted, "MsgSignature": signature, "TimeStamp": timestamp, "Nonce": nonce}
    return _xml(fields)


_NOT_IN_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def _xml(fields: dict[str, str]) -> str:
    root = Element("xml")
    for name, value in fields.items():
        SubElement(root, name).text = _NOT_IN_XML.sub("", value)
    return tostring(root, encoding="unicode")
