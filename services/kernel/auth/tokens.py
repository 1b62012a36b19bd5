"""OIDC bearer tokens: signature by the issuer's keys, allow-listed algorithms, every registered claim checked."""

import asyncio
import base64
import hashlib
import json
import time
from dataclasses import dataclass
from typing import Any

import aiohttp
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from services.kernel.errors import Problem
from services.kernel.settings import KernelSettings

ALGORITHMS = ["RS256", "ES256", "EdDSA", "Ed25519"]
LEEWAY_S = 60
_KEYS_LIVE_S = 600
_FETCH_AT_MOST_EVERY_S = 30
_MAX_TOKEN_CHARS = 8_000
_KNOWN_TOKENS = 2_000


class NotAuthenticated(Problem):
    status = 401
    code = "not-authenticated"

    def __init__(self) -> None:
        super().__init__(
            zh="登录凭证缺失或无效，请重新登录。",
            en="The bearer token is missing or not valid; sign in again.",
            field="Authorization",
            headers={"WWW-Authenticate": "Bearer"},
        )


def _names_once(part: str) -> bool:
    """Whether no member of the signed JSON stands twice: readers would differ over which of the two counts."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise ValueError
        return found

    try:
        json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)), object_pairs_hook=unique)
    except ValueError:
        return False
    return True


@dataclass(frozen=True, kw_only=True)
class Claims:
    person_id: str
    expires_at: int


class Verifier:
    """Keeps the issuer's keys; an unknown key id causes at most one fetch in 30 s."""

    def __init__(self, *, settings: KernelSettings) -> None:
        self._issuer = settings.oidc_issuer
        self._audience = settings.oidc_audience
        self._url = settings.oidc_jwks_url
        self._keys: KeySet | None = None
        self._fetched_at = float("-inf")
        self._lock = asyncio.Lock()
        self._known: dict[bytes, Any] = {}
        """SHA-256 of tokens whose signature these keys have verified -> what they say. Gone with the keys."""

    async def verify(self, authorization: str) -> Claims:
        """Raises `NotAuthenticated` for anything but a good token; the reason is not told to the caller."""
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token or len(token) > _MAX_TOKEN_CHARS or token.count(".") != 2:
            raise NotAuthenticated
        digest = hashlib.sha256(token.encode()).digest()
        for fresh in (False, True):
            keys = await self._key_set(fresh=fresh)
            if (known := self._known.get(digest)) is not None:
                return self._claims(known.header, known.claims)
            if keys is None:
                raise NotAuthenticated
            try:
                decoded = jwt.decode(token, keys, algorithms=ALGORITHMS)
            except (JoseError, ValueError, TypeError, KeyError):
                # Perhaps the issuer rotated its keys: look once more with fresh ones, rate limited.
                continue
            if not all(_names_once(part) for part in token.split(".")[:2]):
                raise NotAuthenticated
            claims = self._claims(decoded.header, decoded.claims)
            self._remember(digest, decoded, keys)
            return claims
        raise NotAuthenticated

    def _remember(self, digest: bytes, decoded: Any, keys: KeySet) -> None:
        """For as long as the keys live: `_claims` looks at the hour each time."""
        if keys is not self._keys:
            return
        if len(self._known) >= _KNOWN_TOKENS:
            del self._known[next(iter(self._known))]
        self._known[digest] = decoded

    def _claims(self, header: dict[str, Any], claims: dict[str, Any]) -> Claims:
        now = time.time()
        audience = claims.get("aud")
        audiences = audience if isinstance(audience, list) else [audience]
        times = [claims.get("exp"), claims.get("iat"), claims.get("nbf", 0)]
        good = (
            "kid" in header
            and claims.get("iss") == self._issuer
            and self._audience in audiences
            and isinstance(claims.get("sub"), str)
            and 0 < len(claims["sub"]) <= 64
            and all(type(t) is int for t in times)
            and claims["exp"] > now - LEEWAY_S
            and claims["iat"] < now + LEEWAY_S
            and claims.get("nbf", 0) < now + LEEWAY_S
        )
        if not good:
            raise NotAuthenticated
        return Claims(person_id=claims["sub"], expires_at=claims["exp"])

    async def _key_set(self, *, fresh: bool) -> KeySet | None:
        age = time.monotonic() - self._fetched_at
        if self._keys is not None and age < (_FETCH_AT_MOST_EVERY_S if fresh else _KEYS_LIVE_S):
            return self._keys
        async with self._lock:
            if time.monotonic() - self._fetched_at >= min(age, _FETCH_AT_MOST_EVERY_S):
                await self._fetch()
        return self._keys

    async def _fetch(self) -> None:
        self._fetched_at = time.monotonic()
        try:
            timeout = aiohttp.ClientTimeout(total=3)
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.get(self._url, allow_redirects=False) as answer,
            ):
                answer.raise_for_status()
                body = await answer.json(content_type=None)
            self._keys = KeySet.import_key_set(body)
            self._known.clear()
        except (aiohttp.ClientError, TimeoutError, JoseError, ValueError, KeyError):
            # The issuer is away: known keys stay good, and the next try is allowed soon.
            self._fetched_at = time.monotonic() - _FETCH_AT_MOST_EVERY_S + 2
