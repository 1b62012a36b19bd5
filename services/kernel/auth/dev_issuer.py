"""A development sign-in: an OIDC issuer that gives a token to whoever names a person. Refuses to start in production.

Services verify its tokens on the same path as those of a real issuer: discovery is by `jwks_url`, keys by `kid`.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Annotated, Any

import uvicorn
from fastapi import FastAPI, Query
from joserfc import jwt
from joserfc.jwk import ECKey

from services.kernel.settings import KernelSettings

_LIFETIME_S = 900


class RefusedInProduction(RuntimeError):
    """The development issuer hands out identities; it must never stand beside real data."""


def load_key(file: Path) -> ECKey:
    """The signing key kept at `file` (0600), made on first use, so that tokens survive a restart."""
    if not file.is_file():
        file.parent.mkdir(parents=True, exist_ok=True)
        key = ECKey.generate_key("P-256", {"kid": f"dev-{time.time_ns():x}", "use": "sig"}, private=True)
        file.touch(mode=0o600)
        file.write_text(json.dumps(key.as_dict(private=True)))
    return ECKey.import_key(json.loads(file.read_text()))


def issue(*, key: ECKey, issuer: str, audience: str, person_id: str, lifetime_s: int = _LIFETIME_S) -> str:
    now = int(time.time())
    claims = {"iss": issuer, "aud": audience, "sub": person_id, "iat": now, "nbf": now, "exp": now + lifetime_s}
    return jwt.encode({"alg": "ES256", "kid": key.kid}, claims, key, algorithms=["ES256"])


def build_issuer(*, key: ECKey, issuer: str, audience: str, environment: str) -> FastAPI:
    if environment == "production":
        raise RefusedInProduction(
            "开发用签发服务不得用于生产环境。 The development issuer refuses to run in production."
        )
    app = FastAPI(title="Keyline development issuer", docs_url=None, redoc_url=None)

    @app.get("/.well-known/openid-configuration")
    async def discovery() -> dict[str, Any]:
        return {"issuer": issuer, "jwks_uri": f"{issuer}/jwks.json", "token_endpoint": f"{issuer}/token"}

    @app.get("/jwks.json")
    async def keys() -> dict[str, Any]:
        return {"keys": [key.as_dict(private=False)]}

    @app.post("/token")
    async def token(
        person_id: Annotated[str, Query(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.:\-]+$")],
    ) -> dict[str, Any]:
        text = issue(key=key, issuer=issuer, audience=audience, person_id=person_id)
        return {"access_token": text, "token_type": "Bearer", "expires_in": _LIFETIME_S}

    return app


def main() -> None:
    parser = argparse.ArgumentParser(prog="keyline development issuer")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--key-file", type=Path, required=True)
    arguments = parser.parse_args()
    settings = KernelSettings()
    app = build_issuer(
        key=load_key(arguments.key_file),
        issuer=settings.oidc_issuer,
        audience=settings.oidc_audience,
        environment=settings.environment,
    )
    uvicorn.run(app, host="127.0.0.1", port=arguments.port, log_level="warning")


if __name__ == "__main__":
    main()
