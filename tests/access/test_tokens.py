"""Forged, stale and strange tokens: none is accepted, none makes the service ask anybody but the issuer."""

import base64
import hmac
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from joserfc import jwe, jwt
from joserfc.jwk import ECKey, RSAKey

from deploy.local.processes import free_port
from services.kernel.app import build_app
from tests.access.house import AUDIENCE, SERVICES, Town
from tests.listening import listening


@dataclass(kw_only=True)
class Issuer:
    """Serves its key set, counts who asks for it, and stands for every address that a token may point to."""

    rsa: RSAKey
    ec: ECKey
    port: int
    asked: list[str] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append(request.path)
        return web.json_response({"keys": [key.as_dict(private=False) for key in (self.rsa, self.ec)]})

    def claims(self, **changed: Any) -> dict[str, Any]:
        now = int(time.time())
        whole = {
            "iss": self.address, "aud": AUDIENCE, "sub": "bearer", "iat": now, "nbf": now, "exp": now + 600, **changed
        }  # fmt: skip
        return {name: value for name, value in whole.items() if value is not ...}

    def good(self, header: dict[str, Any] | None = None, **changed: Any) -> str:
        head = {"alg": "ES256", "kid": "ec", **(header or {})}
        return jwt.encode(head, self.claims(**changed), self.ec, algorithms=["ES256"])


def _part(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _signed(issuer: Issuer, header: dict[str, Any], payload: bytes) -> str:
    """A correct ES256 signature of the issuer over whatever header and payload."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, utils

    text = f"{_part(header)}.{_part(payload)}".encode()
    key = issuer.ec.private_key
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    r, s = utils.decode_dss_signature(key.sign(text, ec.ECDSA(hashes.SHA256())))
    return f"{text.decode()}.{_part(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def _mac(algorithm: str, kid: str, payload: bytes, secret: bytes) -> str:
    """Signed with what everybody knows, as if it were a shared secret; by hand, for the library refuses to help."""
    text = f"{_part({'alg': algorithm, 'kid': kid})}.{_part(payload)}"
    return f"{text}.{_part(hmac.digest(secret, text.encode(), f'sha{algorithm[2:]}'))}"


def bad_tokens(issuer: Issuer) -> dict[str, str]:
    """Name -> Authorization header."""
    stranger = ECKey.generate_key("P-256", {"kid": "ec"}, private=True)
    strange_rsa = RSAKey.generate_key(2048, {"kid": "rsa"}, private=True)
    head, trap = {"alg": "ES256", "kid": "ec"}, f"{issuer.address}/trap"
    public_pem = issuer.rsa.as_pem(private=False)
    public_jwk = json.dumps(issuer.ec.as_dict(private=False)).encode()
    plain = json.dumps(issuer.claims()).encode()
    good = issuer.good()
    _, middle, last = good.split(".")

    def by(key: Any, algorithm: str, **header: Any) -> str:
        return jwt.encode({"alg": algorithm, **header}, issuer.claims(), key, algorithms=[algorithm])

    bare = {
        "alg none": f"{_part({'alg': 'none', 'kid': 'ec'})}.{_part(plain)}.",
        "alg None": f"{_part({'alg': 'None', 'kid': 'ec'})}.{_part(plain)}.",
        "alg none with a signature": f"{_part({'alg': 'none', 'kid': 'ec'})}.{middle}.{last}",
        "alg missing": f"{_part({'kid': 'ec'})}.{middle}.{last}",
        "alg of a list": f"{_part({'alg': ['ES256'], 'kid': 'ec'})}.{middle}.{last}",
        "HS256 with the RSA public key": _mac("HS256", "rsa", plain, public_pem),
        "HS512 with the RSA public key": _mac("HS512", "rsa", plain, public_pem),
        "HS256 with the published key": _mac("HS256", "ec", plain, public_jwk),
        "PS256, not on the list": by(issuer.rsa, "PS256", kid="rsa"),
        "RS512, not on the list": by(issuer.rsa, "RS512", kid="rsa"),
        "foreign EC key": by(stranger, "ES256", kid="ec"),
        "foreign RSA key": by(strange_rsa, "RS256", kid="rsa"),
        "kid of the other key": issuer.good({"kid": "rsa"}),
        "kid unknown": by(stranger, "ES256", kid="unknown"),
        "kid unknown, right key": issuer.good({"kid": "unknown"}),
        "kid a path": issuer.good({"kid": "../../dev/null"}),
        "kid missing": by(issuer.ec, "ES256"),
        "key in the header": by(stranger, "ES256", kid="ec", jwk=stranger.as_dict(private=False)),
        "jku": by(stranger, "ES256", kid="other", jku=trap),
        "x5u": by(stranger, "ES256", kid="other", x5u=trap),
        "crit of something unknown": _signed(issuer, {**head, "crit": ["exp2"], "exp2": 1}, plain),
    }
    whole = {name: f"Bearer {token}" for name, token in (bare | _bad_claims(issuer) | _broken(issuer)).items()}
    return whole | {"no scheme": good, "basic": f"Basic {good}", "two schemes": f"Bearer Bearer {good}"}


def _bad_claims(issuer: Issuer) -> dict[str, str]:
    """Rightly signed, wrongly said."""
    now, head = int(time.time()), {"alg": "ES256", "kid": "ec"}
    doubled = json.dumps(issuer.claims()).encode()[:-1] + b', "sub": "root"}'
    return {
        "issuer wrong": issuer.good(iss="https://elsewhere.example"),
        "issuer missing": issuer.good(iss=...),
        "issuer with a slash more": issuer.good(iss=issuer.address + "/"),
        "audience wrong": issuer.good(aud="other"),
        "audience missing": issuer.good(aud=...),
        "audience of others": issuer.good(aud=["a", "b"]),
        "audience a number": issuer.good(aud=1),
        "expired": issuer.good(iat=now - 900, nbf=now - 900, exp=now - 61),
        "exp missing": issuer.good(exp=...),
        "exp a text": issuer.good(exp=str(now + 600)),
        "exp a fraction": issuer.good(exp=now + 600.5),
        "not before later": issuer.good(nbf=now + 120),
        "not before a text": issuer.good(nbf="soon"),
        "not before null": issuer.good(nbf=None),
        "issued later": issuer.good(iat=now + 120),
        "iat missing": issuer.good(iat=...),
        "subject missing": issuer.good(sub=...),
        "subject empty": issuer.good(sub=""),
        "subject a number": issuer.good(sub=7),
        "subject too long": issuer.good(sub="s" * 65),
        "claims twice": _signed(issuer, head, doubled),
        "payload a list": _signed(issuer, head, b"[]"),
        "payload no JSON": _signed(issuer, head, b"{"),
    }


def _broken(issuer: Issuer) -> dict[str, str]:
    """Changed, cut or wrapped after the signature was made."""
    good, plain = issuer.good(), json.dumps(issuer.claims()).encode()
    first, middle, last = good.split(".")
    encrypted = jwe.encrypt_compact(
        {"alg": "RSA-OAEP", "enc": "A256GCM", "kid": "rsa"}, plain, issuer.rsa, algorithms=["RSA-OAEP", "A256GCM"]
    )
    return {
        "payload changed": f"{first}.{_part(issuer.claims(sub='root'))}.{last}",
        "header changed": f"{_part({'alg': 'ES256', 'kid': 'ec', 'typ': 'x'})}.{middle}.{last}",
        "signature cut": good[:-4],
        "signature missing": f"{first}.{middle}.",
        "signature of zeros": f"{first}.{middle}.{_part(bytes(64))}",
        "two parts": f"{first}.{middle}",
        "four parts": f"{good}.{last}",
        "encrypted": encrypted,
        "longer than any token": good + "a" * 9_000,
        "empty": "",
        "dots": "..",
    }


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    found = Issuer(
        rsa=RSAKey.generate_key(2048, {"kid": "rsa"}, private=True),
        ec=ECKey.generate_key("P-256", {"kid": "ec"}, private=True), port=free_port(),
    )  # fmt: skip
    app = web.Application()
    app.router.add_get("/{anything:.*}", found.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", found.port).start()
    yield found
    await runner.cleanup()


async def test_no_bad_token_is_accepted_and_none_sends_the_service_anywhere(town: Town, issuer: Issuer) -> None:
    for service in SERVICES:
        await town.grant(service, "bearer", "inspector", kind="everything")
    settings = town.settings.model_copy(
        update={"oidc_issuer": issuer.address, "oidc_jwks_url": f"{issuer.address}/jwks.json"}
    )
    port = free_port()
    app = build_app([SERVICES["inspection"]], settings=settings, role="api")
    url = f"http://127.0.0.1:{port}/inspection/v1/checklists"
    async with listening(app, port), aiohttp.ClientSession() as session:

        async def status_of(authorization: str) -> int:
            async with session.get(url, headers={"Authorization": authorization}) as answer:
                return answer.status

        rsa = jwt.encode({"alg": "RS256", "kid": "rsa"}, issuer.claims(), issuer.rsa, algorithms=["RS256"])
        several = issuer.good(aud=["other", AUDIENCE])
        for good in (issuer.good(), rsa, several, issuer.good(exp=int(time.time()) - 30)):
            assert await status_of(f"Bearer {good}") == 200, "the control must pass"
        bad = bad_tokens(issuer)
        assert len(bad) >= 40
        accepted = {name: got for name, header in bad.items() if (got := await status_of(header)) != 401}
        print(f"{len(bad)} bad tokens; the issuer was asked {len(issuer.asked)} times")
        assert accepted == {}
        async with session.get(url, headers={"Authorization": "Bearer " + "a" * 1_000_000}) as answer:
            assert answer.status in {400, 401, 431}, "a token of 1 MB"
    assert set(issuer.asked) == {"/jwks.json"}, "a token sent the service somewhere"
    assert len(issuer.asked) <= 2, "unknown keys made it ask again and again"
