"""Personal data at rest: AES-GCM under a key per person, which is kept wrapped by the master key.

Deleting a person's wrapped key makes every copy of their name, phone and openid unreadable, backups included.
"""

import hashlib
import hmac
import os
from dataclasses import dataclass
from functools import lru_cache

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from services.notify.settings import notify_settings

_NONCE = 12


def _seal(cipher: AESGCM, plain: bytes, bound_to: str) -> bytes:
    nonce = os.urandom(_NONCE)
    return nonce + cipher.encrypt(nonce, plain, bound_to.encode())


def _open(cipher: AESGCM, sealed: bytes, bound_to: str) -> bytes:
    return cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], bound_to.encode())


@dataclass(frozen=True, kw_only=True)
class PersonKey:
    """One person's key in the clear, for the length of a transaction."""

    person_id: str
    key: bytes

    def seal(self, value: str, *, field: str) -> bytes:
        return _seal(AESGCM(self.key), value.encode(), f"{self.person_id}|{field}")

    def open(self, sealed: bytes, *, field: str) -> str:
        """Raises `cryptography.exceptions.InvalidTag` when the value was moved to another person or field."""
        return _open(AESGCM(self.key), sealed, f"{self.person_id}|{field}").decode()


class Vault:
    def __init__(self, *, master_key: bytes) -> None:
        self._wrapping = hmac.digest(master_key, b"keyline wrap", "sha256")
        self._wrapper = AESGCM(self._wrapping)
        self._blinding = hmac.digest(master_key, b"keyline blind index", "sha256")

    def new_key(self, *, person_id: str) -> tuple[PersonKey, bytes]:
        """A fresh key and its wrapped form."""
        key = AESGCM.generate_key(256)
        return PersonKey(person_id=person_id, key=key), _seal(self._wrapper, key, person_id)

    def unwrap(self, wrapped: bytes, *, person_id: str) -> PersonKey:
        return PersonKey(person_id=person_id, key=_open(self._wrapper, wrapped, person_id))

    def house_key(self) -> PersonKey:
        """For what the house itself keeps secret, such as a provider's token; it belongs to no person."""
        return PersonKey(person_id="house", key=hmac.digest(self._wrapping, b"keyline house", "sha256"))

    def blind_index(self, *, kind: str, value: str) -> bytes:
        """Finds equal values without showing them; useless without the master key."""
        return hmac.new(self._blinding, f"{kind}|{value}".encode(), hashlib.sha256).digest()


@lru_cache(maxsize=1)
def vault() -> Vault:
    return Vault(master_key=notify_settings().master_key_bytes())


def masked(value: str) -> str:
    """`138****5678`: enough for the owner to recognise, too little for others to use."""
    if len(value) <= 4:
        return "*" * len(value)
    head = 3 if len(value) >= 8 else 1
    tail = 4 if len(value) >= 11 else 2
    return f"{value[:head]}****{value[-tail:]}"
