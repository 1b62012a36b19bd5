"""The port to WeChat for sending template messages, and its adapter over the Official Account's client."""

from collections.abc import Mapping
from typing import Protocol

from services.notify.adapters.wechat.client import WechatClient
from services.notify.adapters.wechat.messages import TemplateMessage


class TemplateSender(Protocol):
    async def send_template(
        self, *, openid: str, template_id: str, fields: Mapping[str, str], client_msg_id: str
    ) -> str | None:
        """The provider's message id; None when it had accepted this `client_msg_id` before. Raises `WechatError`."""
        ...


class WechatTemplateSender:
    def __init__(self, *, client: WechatClient) -> None:
        self._client = client

    async def send_template(
        self, *, openid: str, template_id: str, fields: Mapping[str, str], client_msg_id: str
    ) -> str | None:
        message = TemplateMessage(openid=openid, template_id=template_id, values=fields, client_msg_id=client_msg_id)
        accepted = await self._client.send_template(message=message)
        return None if accepted.msgid is None else str(accepted.msgid)
