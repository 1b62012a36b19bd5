"""Keyed pseudonyms for callers who study customers without knowing them: put on at the edge, for every answer alike.

An identifier becomes a deterministic ciphertext (AES-SIV, RFC 5297): equal ids give equal pseudonyms on every day and
in every service with the same key, and only here are they turned back, so that such a caller can name a customer.
Names become short keyed digests that nothing turns back.
"""

import base64
import binascii
import hashlib
import hmac
import json
import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from fastapi import Request, Response

from services.kernel.errors import Forbidden, InvalidInput, NotFound
from services.kernel.settings import KernelSettings, MissingSecret

log = logging.getLogger(__name__)
SECRET = "pseudonym_key"  # noqa: S105 - the name of a file
_PREFIX = "p."
Inner = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, kw_only=True)
class Veil:
    """What one service hides from whom, in its manifest. A grant in `roles` counts only where no other one does."""

    roles: frozenset[str]
    identifiers: Mapping[str, str]
    """JSON members, path and query parameters that name something -> what they name; one kind, one pseudonym."""
    names: frozenset[str] = frozenset()
    """JSON members that are names where they stand beside an identifier."""


class Pseudonyms:
    """`key`: 32 bytes. Pseudonyms of the same id under two kinds have nothing in common."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESSIV(key)
        self._digest_key = hashlib.sha256(b"names|" + key).digest()

    def of(self, value: str, *, kind: str) -> str:
        sealed = self._cipher.encrypt(value.encode(), [kind.encode()])
        return _PREFIX + base64.urlsafe_b64encode(sealed).decode().rstrip("=")

    def opened(self, pseudonym: str, *, kind: str) -> str | None:
        """None for what is no pseudonym of that kind, a plain identifier among it."""
        text = pseudonym.removeprefix(_PREFIX)
        if text == pseudonym:
            return None
        try:
            sealed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
            return self._cipher.decrypt(sealed, [kind.encode()]).decode()
        except (InvalidTag, ValueError, binascii.Error):
            return None

    def of_name(self, name: str) -> str:
        digest = hmac.digest(self._digest_key, name.encode(), "sha256")
        return f"~{base64.b32encode(digest)[:10].decode()}"


def pseudonyms_of(settings: KernelSettings) -> Pseudonyms:
    """By the secret file `pseudonym_key` or KEYLINE_PSEUDONYM_KEY: base64 of 32 bytes.

    Outside production a missing one is drawn anew for each process. Raises `MissingSecret`.
    """
    text = settings.secret(SECRET, settings.pseudonym_key)
    if text is None:
        if settings.environment == "production":
            raise MissingSecret(f"缺少密钥文件 {SECRET}；请挂载。 Mount the secret file {SECRET}.")
        if settings.environment == "development":
            log.warning("no %s: pseudonyms last as long as this process", SECRET)
        return Pseudonyms(secrets.token_bytes(32))
    try:
        key = base64.b64decode(text, validate=True)
    except binascii.Error:
        key = b""
    if len(key) != 32:
        raise MissingSecret(f"{SECRET} 须为 32 字节的 base64。 {SECRET} must be base64 of 32 bytes.")
    return Pseudonyms(key)


@dataclass(frozen=True, kw_only=True)
class Veiling:
    """One service's veil with the key of this installation."""

    veil: Veil
    pseudonyms: Pseudonyms

    def around(self, inner: Inner) -> Inner:
        async def veiled(request: Request) -> Response:
            self._open(request)
            return self.close(await inner(request))

        return veiled

    def opened(self, name: str, value: str) -> str | None:
        """What stands behind the pseudonym in the parameter `name`; None for anything else."""
        kind = self.veil.identifiers.get(name)
        return self.pseudonyms.opened(value, kind=kind) if kind is not None else None

    def _open(self, request: Request) -> None:
        """Turn the request's pseudonyms back; a plain identifier names nothing that this caller may see."""
        kinds = self.veil.identifiers
        path = dict(request.scope["path_params"])
        for name in path.keys() & kinds.keys():
            path[name] = self.pseudonyms.opened(str(path[name]), kind=kinds[name])
            if path[name] is None:
                raise NotFound(field=name)
        request.scope["path_params"] = path
        query = parse_qsl(request.scope["query_string"].decode("latin-1"), keep_blank_values=True)
        request.scope["query_string"] = urlencode([(n, self._opened(n, v)) for n, v in query]).encode()

    def _opened(self, name: str, value: str) -> str:
        kind = self.veil.identifiers.get(name)
        if kind is None or not value:
            return value
        plain = self.pseudonyms.opened(value, kind=kind)
        if plain is None:
            raise InvalidInput(
                zh=f"{name} 须为答复中给出的化名。", en=f"{name} must be a pseudonym from an answer.", field=name
            )
        return plain

    def close(self, answer: Response) -> Response:
        """The answer with pseudonyms. What is not JSON, or comes as a stream, cannot be veiled and is not given."""
        body = getattr(answer, "body", None)
        if body == b"":
            return answer
        if body is None or (answer.media_type or answer.headers.get("content-type", "")) != "application/json":
            raise Forbidden(
                zh="该内容无法化名，您的岗位不能查看。",
                en="This cannot be pseudonymised and is not open to your role.",
                field="Authorization",
            )
        said = json.dumps(self.veiled(json.loads(bytes(body))), ensure_ascii=False).encode()
        kept = {n: v for n, v in answer.headers.items() if n.lower() not in {"content-length", "content-type"}}
        return Response(said, answer.status_code, headers=kept, media_type="application/json")

    def veiled(self, value: Any, member: str = "") -> Any:
        """`value` as this caller may see it; of a list, each entry as `member`."""
        if isinstance(value, dict):
            # Documents of the house have members called `name` too; they stand beside no identifier.
            theirs = not self.veil.identifiers.keys().isdisjoint(value)
            return {n: self.veiled(v, n if theirs or n not in self.veil.names else "") for n, v in value.items()}
        if isinstance(value, list):
            return [self.veiled(inner, member) for inner in value]
        if isinstance(value, str) and value:
            if kind := self.veil.identifiers.get(member):
                return self.pseudonyms.of(value, kind=kind)
            if member in self.veil.names:
                return self.pseudonyms.of_name(value)
        return value
