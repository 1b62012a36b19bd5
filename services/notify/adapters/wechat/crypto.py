"""Signatures and the encrypted envelope of WeChat (消息加解密), the same scheme in the Official Account and WeCom."""

import base64
import binascii
import hashlib
import hmac
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

_PADDING_BLOCK = 32
_AES_BLOCK = 16
_RANDOM_BYTES = 16
_LENGTH_BYTES = 4
_KEY_FORM = re.compile(r"[A-Za-z0-9]{43}")


class EnvelopeRefused(Exception):
    """Not encrypted for us with a known key. Says no more on purpose: a caller learns nothing from trying."""


class BadEncodingAesKey(ValueError):
    """EncodingAESKey is not 43 letters and digits; copy it again from the account's console."""


class ForeignPage(ValueError):
    """A page outside our own domains asked for a JS-SDK signature."""


def push_signature(*, token: str, timestamp: str, nonce: str, encrypted: str | None = None) -> str:
    """`signature` of a callback; with `encrypted` its `msg_signature`."""
    parts = [token, timestamp, nonce] if encrypted is None else [token, timestamp, nonce, encrypted]
    return _sha1("".join(sorted(parts)))


def same_signature(*, computed: str, given: str) -> bool:
    """In constant time, for any text in `given`."""
    return hmac.compare_digest(computed.encode(), given.encode("utf-8", "surrogatepass"))


def page_signature(*, ticket: str, nonce: str, timestamp: int, url: str, own_hosts: frozenset[str]) -> str:
    """JS-SDK signature of a page; the fragment does not count.

    Raises `ForeignPage` unless the host is ours: an endpoint that signs any url signs for everybody.
    """
    page = url.split("#", 1)[0]
    parts = urlsplit(page)
    if parts.scheme not in ("http", "https") or parts.hostname not in own_hosts or "@" in parts.netloc:
        raise ForeignPage("只为本站页面签名。 Only pages of our own hosts are signed.")
    return _sha1(f"jsapi_ticket={ticket}&noncestr={nonce}&timestamp={timestamp}&url={page}")


def _sha1(text: str) -> str:
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()  # the protocol's choice, not ours


@dataclass(frozen=True, slots=True)
class EnvelopeKey:
    """The 32 bytes behind an EncodingAESKey; hidden from repr and logs."""

    value: bytes = field(repr=False)

    @classmethod
    def parse(cls, *, encoding_aes_key: str) -> "EnvelopeKey":
        """Raises `BadEncodingAesKey`."""
        if _KEY_FORM.fullmatch(encoding_aes_key) is None:
            raise BadEncodingAesKey("EncodingAESKey 须为43位字母或数字。 EncodingAESKey must be 43 letters or digits.")
        return cls(base64.b64decode(encoding_aes_key + "="))


@dataclass(frozen=True, slots=True)
class Opened:
    message: bytes = field(repr=False)
    key: EnvelopeKey
    """The key that worked; a reply is sealed with it."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """Seals and opens for one appid. `last_key` stays valid while WeChat changes over to a new key."""

    app_id: str
    key: EnvelopeKey
    last_key: EnvelopeKey | None = None
    random_bytes: Callable[[int], bytes] = field(default=secrets.token_bytes, repr=False)

    def open(self, *, encrypted: str) -> Opened:
        """Raises `EnvelopeRefused`: wrong key, padding, length or appid."""
        try:
            sealed = base64.b64decode(encrypted, validate=True)
        except (binascii.Error, ValueError):
            raise EnvelopeRefused from None
        for key in (self.key, self.last_key):
            message = None if key is None else self._try(sealed, key)
            if key is not None and message is not None:
                return Opened(message, key)
        raise EnvelopeRefused

    def seal(self, *, message: bytes, key: EnvelopeKey | None = None) -> str:
        """Base64 text for the `Encrypt` element."""
        plain = self.random_bytes(_RANDOM_BYTES) + len(message).to_bytes(_LENGTH_BYTES, "big")
        plain += message + self.app_id.encode()
        missing = _PADDING_BLOCK - len(plain) % _PADDING_BLOCK
        encryptor = _cipher(key or self.key).encryptor()
        return base64.b64encode(encryptor.update(plain + bytes([missing]) * missing) + encryptor.finalize()).decode()

    def _try(self, sealed: bytes, key: EnvelopeKey) -> bytes | None:
        if not sealed or len(sealed) % _AES_BLOCK:
            return None
        decryptor = _cipher(key).decryptor()
        plain = _unpad(decryptor.update(sealed) + decryptor.finalize())
        if plain is None or len(plain) < _RANDOM_BYTES + _LENGTH_BYTES:
            return None
        start = _RANDOM_BYTES + _LENGTH_BYTES
        end = start + int.from_bytes(plain[_RANDOM_BYTES:start], "big")
        # A length beyond the text leaves an empty appid, which is never ours.
        return plain[start:end] if hmac.compare_digest(plain[end:], self.app_id.encode()) else None


def _cipher(key: EnvelopeKey) -> Cipher[modes.CBC]:
    return Cipher(algorithms.AES(key.value), modes.CBC(key.value[:_AES_BLOCK]))


def _unpad(padded: bytes) -> bytes | None:
    count = padded[-1]
    if not 1 <= count <= _PADDING_BLOCK or len(padded) < count:
        return None
    return padded[:-count] if padded.endswith(bytes([count]) * count) else None
