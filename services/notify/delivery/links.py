"""Links that belong to one message and one person: signed, short-lived, short enough for a text message."""

import base64
import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from uuid import UUID

from services.notify.channel_settings import channel_settings
from services.notify.settings import notify_settings

LIFETIME = timedelta(days=14)
_SIGNATURE_BYTES = 12


@lru_cache(maxsize=1)
def link_key() -> bytes:
    return hmac.digest(notify_settings().master_key_bytes(), b"keyline link", "sha256")


def token_of(delivery_id: UUID, *, key: bytes, now: datetime) -> str:
    """43 characters: the message, when the link ends, and the signature over both."""
    said = delivery_id.bytes + int((now + LIFETIME).timestamp()).to_bytes(4, "big")
    return base64.urlsafe_b64encode(said + _signature(said, key)).decode().rstrip("=")


def opened_link(token: str, *, key: bytes, now: datetime) -> UUID | None:
    """The message of a genuine link that has not ended; None for anything else."""
    try:
        raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except ValueError:
        return None
    said, signature = raw[:20], raw[20:]
    if len(said) != 20 or not hmac.compare_digest(signature, _signature(said, key)):
        return None
    ends = datetime.fromtimestamp(int.from_bytes(said[16:], "big"), UTC)
    return UUID(bytes=said[:16]) if now < ends else None


def link_to(delivery_id: UUID, *, key: bytes, now: datetime) -> str | None:
    """None where the house has no address that recipients can open."""
    base = channel_settings().public_url.rstrip("/")
    return f"{base}/notify/v1/m/{token_of(delivery_id, key=key, now=now)}" if base else None


def _signature(said: bytes, key: bytes) -> bytes:
    return hmac.digest(key, said, hashlib.sha256)[:_SIGNATURE_BYTES]
