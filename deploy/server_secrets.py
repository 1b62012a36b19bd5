"""`python -m deploy.server_secrets FOLDER`: the secret files of docker-compose.yml; what exists is never touched.

Random ones are made, those that others hand out are named so that you put them there.
"""

import base64
import secrets
import sys
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

LOGINS = tuple(
    f"{service}_{role}"
    for service in ("inspection", "outage", "portrait", "notify")
    for role in ("migrator", "api", "worker")
)
PRINCIPALS = ("inspection", "outage", "portrait", "notify", "administrator", "broker")
RANDOM = (
    "postgres_superuser",
    "grafana_admin",
    "notify_sms_callback_token",
    *LOGINS,
    *(f"{name}_kafka" for name in PRINCIPALS),
)
OPTIONAL = {
    "notify_wechat_last_encoding_aes_key": "更换期内的旧 EncodingAESKey the former key while WeChat changes over",
    "notify_sms_aliyun_secret": "阿里云短信 AccessKey Secret of Aliyun's SMS",
    "notify_sms_tencent_secret": "腾讯云短信 SecretKey of Tencent's SMS",
    "notify_sms_gateway_secret": "自有短信网关密钥 secret of the company's own gateway",
    "notify_smtp_password": "邮件服务器口令 password of the mail server",
    "notify_wecom_secret": "企业微信应用 Secret of the WeCom application",
}
"""Made empty: containers want the file, the channel is used once it and its address are filled in."""
KEYS = ("notify_master_key", "pseudonym_key")
BROKER_NAMES = ("kafka", "localhost")
GIVEN = {
    "notify_wechat_app_secret": "公众平台的 AppSecret the account's AppSecret",
    "notify_wechat_callback_token": "公众平台的 Token the token of the callback",
    "notify_wechat_encoding_aes_key": "公众平台的 EncodingAESKey the key of the callback",
    "gateway_certificate": "网关证书链 PEM the gateway's certificate chain",
    "gateway_key": "网关私钥 PEM the gateway's private key",
}


_BROKER_KEY_LIVES = timedelta(days=3 * 365)


def make(folder: Path) -> list[str]:
    """The given ones that are still missing. The folder keeps others out; containers read the files."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    for name in RANDOM:
        _write(folder / name, secrets.token_urlsafe(32))
    for name in KEYS:
        _write(folder / name, base64.b64encode(secrets.token_bytes(32)).decode())
    if not (folder / "kafka_keystore").exists():
        for name, text in _broker_key().items():
            _write(folder / name, text)
    for name in OPTIONAL:
        _write(folder / name, "")
    return [name for name in GIVEN if not (folder / name).is_file()]


def _broker_key() -> dict[str, str]:
    """A key of the broker's own, signed by itself; an installation with an authority puts its files here instead."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, BROKER_NAMES[0])])
    hosts: list[x509.GeneralName] = [x509.DNSName(host) for host in BROKER_NAMES]
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + _BROKER_KEY_LIVES)
        .add_extension(x509.SubjectAlternativeName([*hosts, x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    public = certificate.public_bytes(Encoding.PEM).decode()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return {"kafka_keystore": private + public, "kafka_ca": public}


def _write(file: Path, value: str) -> None:
    if not file.exists():
        file.touch(mode=0o600)
        file.write_text(value)
        file.chmod(0o444)


def main() -> int:
    if len(sys.argv) != 2:
        sys.stderr.write("python -m deploy.server_secrets FOLDER\n")
        return 2
    folder = Path(sys.argv[1])
    for name in make(folder):
        print(f"请放入 put here: {folder / name} ({GIVEN[name]})")
    for name in (n for n in OPTIONAL if not (folder / n).read_text()):
        print(f"如使用该渠道请填写 fill in if you use the channel: {folder / name} ({OPTIONAL[name]})")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
