"""Settings of any service, from the environment (`KEYLINE_*`) and from mounted secret files."""

import socket
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.kernel.clock import Clock, ShiftedClock, SystemClock

DatabaseRole = Literal["api", "worker", "migrator"]


class MissingSecret(Exception):
    """A password was neither mounted as a file nor given in the environment."""


class KernelSettings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="KEYLINE_", extra="ignore", frozen=False)

    environment: Literal["development", "test", "production"] = "production"
    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65535)
    instance: str = Field(default_factory=socket.gethostname)

    database_host: str = "127.0.0.1"
    database_port: int = 5432
    database_name: str = "keyline"
    secrets_dir: Path | None = Field(default=None, description="holds one file per database role, named as the role")
    database_password: SecretStr | None = Field(default=None, description="one password for all roles; laptops only")
    pool_size: int = Field(default=5, ge=1, le=50)

    kafka_bootstrap_servers: str = "127.0.0.1:9092"
    kafka_security: Literal["plaintext", "sasl-plaintext", "sasl-ssl"] = Field(
        default="plaintext", description="SASL is SCRAM-SHA-512; plaintext for laptops only"
    )
    kafka_username: str = Field(default="", description="the service's principal; its password is <username>_kafka")
    kafka_password: SecretStr | None = Field(default=None, description="where no secret file is mounted; laptops only")
    kafka_ca_file: Path | None = Field(default=None, description="PEM of the authority that signed the broker's key")
    broker_kind: Literal["kafka", "tansu", "external"] = "kafka"
    topic_prefix: str = ""
    session_timeout_ms: int = Field(default=10_000, ge=1_000)
    max_poll_interval_ms: int = Field(default=300_000, ge=10_000)

    oidc_issuer: str = ""
    oidc_audience: str = "keyline"
    oidc_jwks_url: str = ""

    pseudonym_key: SecretStr | None = Field(default=None, description="base64 of 32 bytes; same in all services")

    as_of: datetime | None = Field(default=None, description="business time at `as_of_started_at`; demos and tests")
    as_of_started_at: float = 0.0

    max_body_bytes: int = Field(default=1_000_000, ge=1_000)
    poll_stall_seconds: float = Field(default=30.0, gt=0, description="a poll loop silent for longer is not live")
    fault: str = Field(default="", description="crash point `NAME:N` for tests; refused in production")

    @cached_property
    def clock(self) -> Clock:
        if self.as_of is None:
            return SystemClock()
        return ShiftedClock(as_of=self.as_of, started_at=self.as_of_started_at)

    def database_url(self, *, service: str, role: DatabaseRole) -> str:
        """SQLAlchemy URL of the login `<service>_<role>`.

        Raises `MissingSecret` naming the file that has to be mounted.
        """
        login = f"{service}_{role}"
        password = quote(self.password_of(login), safe="")
        return f"postgresql+asyncpg://{login}:{password}@{self.database_host}:{self.database_port}/{self.database_name}"

    def secret(self, name: str, given: SecretStr | None) -> str | None:
        """From the mounted file `name`, else what was given."""
        file = self.secrets_dir / name if self.secrets_dir else None
        if file is not None and file.is_file():
            return file.read_text().strip()
        return given.get_secret_value() if given is not None else None

    def password_of(self, login: str) -> str:
        if self.secrets_dir is not None:
            file = self.secrets_dir / login
            if not file.is_file():
                raise MissingSecret(f"缺少数据库口令文件 {file}；请挂载。 Mount the password file {file}.")
            return file.read_text().strip()
        if self.database_password is None:
            raise MissingSecret(
                f"未配置 {login} 的口令：请设置 KEYLINE_SECRETS_DIR。 "
                f"No password for {login}: set KEYLINE_SECRETS_DIR to a folder with a file {login}."
            )
        return self.database_password.get_secret_value()
