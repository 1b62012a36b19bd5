"""How this installation's account pushes, from its settings."""

from services.notify.adapters.wechat.callbacks import CallbackSecurity
from services.notify.adapters.wechat.crypto import Envelope, EnvelopeKey
from services.notify.settings import notify_settings


def callback_security() -> CallbackSecurity:
    settings = notify_settings()
    aes_key = settings.wechat_encoding_key()
    envelope = None
    if aes_key is not None:
        last = settings.wechat_last_encoding_key()
        envelope = Envelope(
            settings.wechat_app_id,
            EnvelopeKey.parse(encoding_aes_key=aes_key),
            None if last is None else EnvelopeKey.parse(encoding_aes_key=last),
        )
    return CallbackSecurity(
        token=settings.wechat_callback_secret(),
        envelope=envelope,
        require_encryption=not settings.wechat_plain_callbacks,
    )
