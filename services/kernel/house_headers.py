"""What every answer of the house carries, whoever makes it."""

import os
import re
from collections.abc import Iterable

HOUSE_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'"),
]
_TRACEPARENT = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


def traceparent(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """The caller's, or a new one where it sent none or something else (W3C Trace Context)."""
    for name, value in headers:
        if name == b"traceparent" and _TRACEPARENT.fullmatch(given := value.decode("latin-1")):
            return given
    drawn = os.urandom(24).hex()
    return f"00-{drawn[:32]}-{drawn[32:]}-01"
