"""How a client of this installation signs in at the broker."""

import ssl
from typing import Any

from services.kernel.settings import KernelSettings, MissingSecret


def connection(settings: KernelSettings) -> dict[str, Any]:
    """What every client of the broker is opened with. Raises `MissingSecret` naming the file."""
    found: dict[str, Any] = {"bootstrap_servers": settings.kafka_bootstrap_servers}
    if settings.kafka_security == "plaintext":
        return found
    name = f"{settings.kafka_username}_kafka"
    password = settings.secret(name, settings.kafka_password)
    if not settings.kafka_username or password is None:
        raise MissingSecret(
            f"未配置 Kafka 口令：请设置 KEYLINE_KAFKA_USERNAME 并挂载密钥文件 {name}。"
            f" No password for Kafka: set KEYLINE_KAFKA_USERNAME and mount the secret file {name}."
        )
    found |= {
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": settings.kafka_username,
        "sasl_plain_password": password,
    }
    if settings.kafka_security == "sasl-ssl":
        # Without a file of its own the system's authorities are trusted.
        context = ssl.create_default_context(cafile=settings.kafka_ca_file)
        found |= {"security_protocol": "SASL_SSL", "ssl_context": context}
    return found
