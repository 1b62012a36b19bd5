"""What notify alone is told from outside; the rest is the kernel's."""

import base64
import binascii
from functools import lru_cache
from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.kernel.settings import MissingSecret


class NotifySettings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="KEYLINE_", extra="ignore", env_ignore_empty=True)

    secrets_dir: Path | None = None
    wechat_base_url: str = Field(default="", description="empty: no WeChat; messages go to the inbox with the reason")
    wechat_app_id: str = ""
    wechat_login_url: str = Field(default="https://open.weixin.qq.com", description="the page where people confirm")
    wechat_page_hosts: frozenset[str] = Field(default=frozenset(), description="beside the host of the public address")
    wechat_app_secret: SecretStr | None = None
    wechat_callback_token: SecretStr | None = None
    wechat_encoding_aes_key: SecretStr | None = None
    wechat_last_encoding_aes_key: SecretStr | None = Field(default=None, description="while WeChat changes over")
    wechat_plain_callbacks: bool = Field(default=False, description="明文模式: the signature does not cover the body")
    master_key: SecretStr | None = Field(default=None, description="base64 of 32 bytes; wraps the persons' keys")

    def secret(self, name: str, given: SecretStr | None) -> str:
        """From the mounted file `name`, else from the environment. Raises `MissingSecret` naming both."""
        file = self.secrets_dir / name if self.secrets_dir else None
        if file is not None and file.is_file():
            return file.read_text().strip()
        if given is None:
            raise MissingSecret(
                f"未配置 {name}：请挂载密钥文件 {name} 或设置 KEYLINE_{name.removeprefix('notify_').upper()}。"
                f" Mount the secret file {name} or set KEYLINE_{name.removeprefix('notify_').upper()}."
            )
        return given.get_secret_value()

    def master_key_bytes(self) -> bytes:
        try:
            key = base64.b64decode(self.secret("notify_master_key", self.master_key), validate=True)
        except binascii.Error as error:
            raise MissingSecret("KEYLINE_MASTER_KEY 须为 base64。 KEYLINE_MASTER_KEY must be base64.") from error
        if len(key) != 32:
            raise MissingSecret("KEYLINE_MASTER_KEY 须为 32 字节。 KEYLINE_MASTER_KEY must hold 32 bytes.")
        return key

    def wechat_secret(self) -> str:
        return self.secret("notify_wechat_app_secret", self.wechat_app_secret)

    def wechat_encoding_key(self) -> str | None:
        """None where the account's messages come in the clear."""
        return self._optional("notify_wechat_encoding_aes_key", self.wechat_encoding_aes_key)

    def wechat_last_encoding_key(self) -> str | None:
        """The key before the current one; None outside a change of keys."""
        return self._optional("notify_wechat_last_encoding_aes_key", self.wechat_last_encoding_aes_key)

    def _optional(self, name: str, given: SecretStr | None) -> str | None:
        file = self.secrets_dir / name if self.secrets_dir else None
        if given is None and (file is None or not file.is_file() or not file.read_text().strip()):
            return None
        return self.secret(name, given)

    def wechat_callback_secret(self) -> str:
        return self.secret("notify_wechat_callback_token", self.wechat_callback_token)


@lru_cache(maxsize=1)
def notify_settings() -> NotifySettings:
    return NotifySettings()
