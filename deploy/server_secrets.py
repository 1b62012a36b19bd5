"""`python -m deploy.server_secrets FOLDER`: the secret files of docker-compose.yml; what exists is never touched.

Random ones are made, those that others hand out are named so that you put them there.
"""

import base64
import secrets
import sys
from pathlib import Path

LOGINS = tuple(
    f"{service}_{role}"
    for service in ("inspection", "outage", "portrait", "notify")
    for role in ("migrator", "api", "worker")
)
RANDOM = ("postgres_superuser", "grafana_admin", *LOGINS)
KEYS = ("notify_master_key",)
GIVEN = {
    "notify_wechat_app_secret": "公众平台的 AppSecret the account's AppSecret",
    "notify_wechat_callback_token": "公众平台的 Token the token of the callback",
    "notify_wechat_encoding_aes_key": "公众平台的 EncodingAESKey the key of the callback",
    "gateway_certificate": "网关证书链 PEM the gateway's certificate chain",
    "gateway_key": "网关私钥 PEM the gateway's private key",
}


def make(folder: Path) -> list[str]:
    """The given ones that are still missing. The folder keeps others out; containers read the files."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    for name in RANDOM:
        _write(folder / name, secrets.token_urlsafe(32))
    for name in KEYS:
        _write(folder / name, base64.b64encode(secrets.token_bytes(32)).decode())
    return [name for name in GIVEN if not (folder / name).is_file()]


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
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
