"""What the outer zone and the inner link are told; each side reads its own part."""

import base64
import binascii
import json
from functools import lru_cache
from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.kernel.settings import MissingSecret
from services.notify.edge.seal import Keys


class EdgeSettings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="KEYLINE_EDGE_", extra="ignore")

    host: str = "127.0.0.1"
    port: int = Field(default=8443, ge=1, le=65535)
    certificate: Path | None = Field(default=None, description="PEM file; the edge serves nothing without TLS")
    certificate_key: Path | None = None
    spool: Path = Field(default=Path("var/edge"), description="folder of what is owed to the inner zone")
    url: str = Field(default="", description="inner side: where the edge is; empty: WeChat is reached directly")
    authority: Path | None = Field(default=None, description="inner side: PEM of who signed the edge's certificate")
    inner_url: str = Field(default="http://127.0.0.1:8080", description="inner side: our own API")
    keys: SecretStr | None = Field(default=None, description='JSON {"id": "base64 of 32 bytes or more"}; first signs')
    keys_file: Path | None = None

    def zone_keys(self) -> Keys:
        """Raises `MissingSecret` when none are given, or unreadable."""
        given = self.keys_file.read_text() if self.keys_file else self.keys.get_secret_value() if self.keys else ""
        try:
            return Keys(secrets={i: base64.b64decode(s, validate=True) for i, s in json.loads(given).items()})
        except (ValueError, AttributeError, binascii.Error) as broken:
            raise MissingSecret(
                "KEYLINE_EDGE_KEYS 缺失或格式有误。 Give KEYLINE_EDGE_KEYS as JSON of key ids and base64 secrets."
            ) from broken


@lru_cache(maxsize=1)
def edge_settings() -> EdgeSettings:
    return EdgeSettings()
