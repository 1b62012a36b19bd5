"""Which channels beside WeChat this installation has; a channel without its address does not exist for planning."""

from functools import lru_cache
from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.kernel.settings import MissingSecret


class ChannelSettings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="KEYLINE_", extra="ignore", env_ignore_empty=True)

    secrets_dir: Path | None = None
    public_url: str = Field(default="", description="where recipients open links; empty: messages carry none")

    sms_aliyun_url: str = Field(default="", description="such as https://dysmsapi.aliyuncs.com")
    sms_aliyun_key_id: str = ""
    sms_aliyun_secret: SecretStr | None = None
    sms_tencent_url: str = Field(default="", description="such as https://sms.tencentcloudapi.com")
    sms_tencent_key_id: str = ""
    sms_tencent_secret: SecretStr | None = None
    sms_tencent_app_id: str = ""
    sms_tencent_region: str = "ap-guangzhou"
    sms_sign_name: str = Field(default="", description="短信签名, as approved by the provider")
    sms_template_codes: dict[str, str] = Field(default={}, description="our template id -> the provider's, as JSON")
    sms_gateway_url: str = Field(default="", description="the company's own gateway; used after the providers above")
    sms_gateway_key_id: str = "keyline"
    sms_gateway_secret: SecretStr | None = None
    sms_callback_token: SecretStr | None = Field(default=None, description="part of the receipts' address")

    smtp_host: str = ""
    smtp_port: int = 587
    smtp_user: str = ""
    smtp_password: SecretStr | None = None
    smtp_tls: bool = Field(default=True, description="STARTTLS; refuse to send in the clear")
    mail_from: str = ""

    wecom_url: str = Field(default="", description="such as https://qyapi.weixin.qq.com")
    wecom_corp_id: str = ""
    wecom_agent_id: int = 0
    wecom_secret: SecretStr | None = None

    webhook_loopback: bool = Field(default=False, description="allow http to this machine; tests and demos only")

    def channels(self) -> frozenset[str]:
        """Those that planning may choose. WeChat says itself when it is not configured; the inbox is always there."""
        sms = self.sms_aliyun_url or self.sms_tencent_url or self.sms_gateway_url
        given = {"sms": sms, "mail": self.smtp_host, "wecom": self.wecom_url}
        return frozenset({"chat", "wechat", "inbox", *(name for name, address in given.items() if address)})

    def secret(self, name: str) -> str:
        """From the mounted file `notify_<name>` unless that is empty, else from the environment.

        Raises `MissingSecret` naming both.
        """
        file = self.secrets_dir / f"notify_{name}" if self.secrets_dir else None
        if file is not None and file.is_file() and (text := file.read_text().strip()):
            return text
        given = getattr(self, name)
        if not isinstance(given, SecretStr):
            raise MissingSecret(
                f"未配置 {name}：请挂载密钥文件 notify_{name} 或设置 KEYLINE_{name.upper()}。"
                f" Mount the secret file notify_{name} or set KEYLINE_{name.upper()}."
            )
        return given.get_secret_value()


@lru_cache(maxsize=1)
def channel_settings() -> ChannelSettings:
    return ChannelSettings()
