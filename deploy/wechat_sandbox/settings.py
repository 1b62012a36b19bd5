"""What the sandbox is started with, and the check that no real account is near it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

DEFAULT_APP_ID = "wxsandbox000000001"
DEFAULT_APP_SECRET = "sandbox-app-secret"  # noqa: S105 - public on purpose
DEFAULT_ACCOUNT = "gh_sandbox00001"
DEFAULT_TOKEN = "sandboxtoken"  # noqa: S105
DEFAULT_AES_KEY = "sandboxPublicEncodingAesKeyNotASecret000000"

_SECRET_NAME = re.compile(r"WECHAT.*(SECRET|TOKEN|AES_?KEY)(_FILE)?$", re.IGNORECASE)
_SECRET_FILE = re.compile(r"wechat.*(secret|token|aes_?key)", re.IGNORECASE)


class RealSecretFound(Exception):
    """A WeChat secret that does not begin with `sandbox` is configured; its name is in the message, never itself."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    port: int
    log: Path
    app_id: str = DEFAULT_APP_ID
    app_secret: str = field(default=DEFAULT_APP_SECRET, repr=False)
    account: str = DEFAULT_ACCOUNT
    token: str = field(default=DEFAULT_TOKEN, repr=False)
    aes_key: str = field(default=DEFAULT_AES_KEY, repr=False)
    last_aes_key: str | None = field(default=None, repr=False)
    callback_url: str | None = None
    seed: int = 1
    as_of: datetime | None = None
    as_of_started_at_s: float | None = None


def refuse_real_secrets(*, environ: Mapping[str, str]) -> None:
    """Raises `RealSecretFound` for a variable or a mounted file that holds a WeChat secret not marked as sandbox."""
    for name, value in environ.items():
        if not _SECRET_NAME.search(name) or not value.strip():
            continue
        _check(name=name, value=_content(Path(value)) if name.upper().endswith("_FILE") else value)
    folder = environ.get("KEYLINE_SECRETS_DIR", "").strip()
    if folder and Path(folder).is_dir():
        for file in Path(folder).iterdir():
            if file.is_file() and _SECRET_FILE.search(file.name):
                _check(name=str(file), value=_content(file))


def check_own_secret(*, value: str) -> None:
    _check(name="--app-secret", value=value)


def _content(file: Path) -> str:
    try:
        return file.read_text().strip()
    except (OSError, UnicodeDecodeError):
        return "unreadable"


def _check(*, name: str, value: str) -> None:
    # Tokens and AES keys admit letters and digits only, so only the app secret can carry the hyphen.
    marker = "sandbox-" if "secret" in Path(name).name.lower() else "sandbox"
    if value.strip() and not value.strip().startswith(marker):
        raise RealSecretFound(
            f"{name} 不以 {marker} 开头，像是真实账号的密钥；沙箱拒绝启动，请先取消该配置。 "
            f"{name} does not begin with {marker} and may belong to a real account; unset it before starting."
        )
