"""What the edge does with the account for the inner zone beside sending: log in, sign pages, answer, fetch files."""

import base64
from collections.abc import Mapping
from typing import Any

from services.notify.adapters.wechat.client import WechatClient
from services.notify.adapters.wechat.errors import WechatError, WechatRefused
from services.notify.adapters.wechat.media import MediaRefused
from services.notify.adapters.wechat.messages import CustomMessage


async def done(client: WechatClient, said: Mapping[str, Any]) -> dict[str, Any]:
    """The answer to the inner zone; tokens and the secret stay here. Raises KeyError for an unknown deed."""
    try:
        return await _DEEDS[said["do"]](client, said)
    except MediaRefused as refused:
        return {"refused": str(refused)}
    except WechatError as error:
        return error_out(error)


def error_out(error: WechatError) -> dict[str, Any]:
    code = error.errcode if isinstance(error, WechatRefused) else None
    words = error.errmsg if isinstance(error, WechatRefused) else str(error)
    return {"errcode": code, "words": words, "ambiguous": error.ambiguous}


async def _identity(client: WechatClient, said: Mapping[str, Any]) -> dict[str, Any]:
    who = await client.identity(code=said["code"])
    return {"openid": who.openid, "snapshot": who.snapshot}


async def _ticket(client: WechatClient, _: Mapping[str, Any]) -> dict[str, Any]:
    ticket = await client.page_ticket()
    return {"ticket": ticket.value, "expires_at": ticket.expires_at.isoformat()}


async def _custom(client: WechatClient, said: Mapping[str, Any]) -> dict[str, Any]:
    await client.send_custom(
        message=CustomMessage(openid=said["openid"], msg_type=said["type"], content=said["content"])
    )
    return {}


async def _media(client: WechatClient, said: Mapping[str, Any]) -> dict[str, Any]:
    found = await client.media(media_id=said["media_id"])
    return {"content": base64.b64encode(found.content).decode()}


_DEEDS = {"identity": _identity, "ticket": _ticket, "custom": _custom, "media": _media}
