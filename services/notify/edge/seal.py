"""Signed envelopes between the zones: key id, time, nonce and the hash of the body under HMAC-SHA256."""

import hashlib
import hmac
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

HEADER = "X-Keyline-Seal"
MAX_AGE_S = 120


class SealRefused(Exception):
    """Not from the other zone, too old, or seen before. The reason is for the log."""


@dataclass(frozen=True, kw_only=True)
class Keys:
    """Key id -> secret. The first signs, all verify: put a new one behind, then before, then drop the old.

    Raises ValueError for a secret under 32 bytes.
    """

    secrets: Mapping[str, bytes] = field(repr=False)

    def __post_init__(self) -> None:
        if not self.secrets or any(len(s) < 32 or not i.isalnum() for i, s in self.secrets.items()):
            raise ValueError("each key has an id of letters and digits and at least 32 bytes")


def sealed(keys: Keys, *, purpose: str, body: bytes, now_s: float | None = None) -> str:
    """`purpose` binds the envelope to its place: the path of a request, or the seal of the request that it answers."""
    key_id, secret = next(iter(keys.secrets.items()))
    stamp, nonce = str(int(time.time() if now_s is None else now_s)), secrets.token_hex(16)
    return f"{key_id}.{stamp}.{nonce}.{_mac(secret, stamp, nonce, purpose, body)}"


@dataclass(kw_only=True)
class Verifier:
    """Remembers nonces as long as their envelopes would be young enough."""

    keys: Keys
    _seen: dict[str, float] = field(default_factory=dict)

    def check(self, seal: str, *, purpose: str, body: bytes, now_s: float | None = None) -> None:
        """Raises `SealRefused`."""
        now = time.time() if now_s is None else now_s
        parts = seal.split(".")
        if len(parts) != 4 or not parts[1].isdigit() or len(parts[1]) > 12:
            raise SealRefused("malformed")
        key_id, stamp, nonce, mac = parts
        secret = self.keys.secrets.get(key_id)
        if secret is None:
            raise SealRefused("unknown key")
        if not hmac.compare_digest(mac.encode(), _mac(secret, stamp, nonce, purpose, body).encode()):
            raise SealRefused("wrong signature")
        if abs(now - int(stamp)) > MAX_AGE_S:
            raise SealRefused("too far from now")
        self._seen = {n: until for n, until in self._seen.items() if until > now}
        if nonce in self._seen:
            raise SealRefused("seen before")
        self._seen[nonce] = int(stamp) + MAX_AGE_S + 1


def _mac(secret: bytes, stamp: str, nonce: str, purpose: str, body: bytes) -> str:
    said = "\n".join((stamp, nonce, purpose, hashlib.sha256(body).hexdigest()))
    return hmac.new(secret, said.encode(), hashlib.sha256).hexdigest()
