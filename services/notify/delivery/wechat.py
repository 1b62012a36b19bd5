"""WeChat template messages and customer-service messages as channels, over the Official Account's client."""

from datetime import timedelta

from services.notify.adapters.port import NO_MEMORY, Accepted, ChannelError, Outgoing
from services.notify.adapters.wechat.client import WechatClient
from services.notify.adapters.wechat.errors import Action, ErrorClass, WechatError
from services.notify.adapters.wechat.messages import TemplateMessage, custom_menu, custom_text
from services.notify.rules.retries import FailureKind

_KINDS = {
    ErrorClass.TRANSIENT: FailureKind.TRANSIENT,
    ErrorClass.RECIPIENT_FREQUENCY: FailureKind.FREQUENCY,
    ErrorClass.RECIPIENT: FailureKind.RECIPIENT,
    ErrorClass.WINDOW: FailureKind.WINDOW,
    ErrorClass.CONTENT: FailureKind.CONTENT,
}
_QUOTAS = {Action.PAUSE_MINUTE: FailureKind.MINUTE_QUOTA, Action.PAUSE_TO_MIDNIGHT: FailureKind.DAY_QUOTA}
_OF_TEMPLATE = frozenset({40036, 40037, 40013})
"""Configuration errors of one template (40013 also for its mini program); the others concern the whole account."""


class WechatChannel:
    name = "wechat"
    dedupe = timedelta(minutes=8)
    """Of the ten minutes that WeChat keeps a client_msg_id: two are left for its clock and the way there."""
    shared = True

    def __init__(self, *, client: WechatClient) -> None:
        self._client = client

    async def send(self, message: Outgoing) -> Accepted:
        template = TemplateMessage(
            openid=message.address, template_id=message.template_id, values=message.fields,
            client_msg_id=message.message_id, url=message.link,
        )  # fmt: skip
        try:
            accepted = await self._client.send_template(message=template)
        except WechatError as error:
            raise channel_error(error) from error
        return Accepted(reference=None if accepted.msgid is None else str(accepted.msgid))


class WechatChat:
    """Customer-service messages: WeChat knows no id of them and sends no receipt; its acceptance is all there is."""

    name = "wechat-chat"
    dedupe = NO_MEMORY
    shared = True

    def __init__(self, *, client: WechatClient) -> None:
        self._client = client

    async def send(self, message: Outgoing) -> Accepted:
        custom = custom_text(openid=message.address, text=message.body)
        if message.fields:
            custom = custom_menu(openid=message.address, head=message.body, choices=tuple(message.fields.items()))
        try:
            await self._client.send_custom(message=custom)
        except WechatError as error:
            raise channel_error(error) from error
        return Accepted(reference=None, delivered=True)


def channel_error(error: WechatError) -> ChannelError:
    kind = _QUOTAS.get(error.action) or _KINDS.get(error.error_class)
    if kind is None:
        flaps = error.action is Action.RETRY_ONCE_THEN_OPEN_CIRCUIT
        kind = FailureKind.FLAPPING if flaps else FailureKind.CONFIGURATION
    of_account = getattr(error, "errcode", None) not in _OF_TEMPLATE
    return ChannelError(str(error), kind=kind, ambiguous=error.ambiguous, account_wide=of_account)
