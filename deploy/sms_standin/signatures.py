"""Checks both providers' signatures from the bytes on the wire, without a line of the client's code."""

import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import UTC, datetime

_ACS = re.compile(r"ACS3-HMAC-SHA256 Credential=([^,]+),SignedHeaders=([a-z0-9;-]+),Signature=([0-9a-f]{64})")
_TC = re.compile(
    r"TC3-HMAC-SHA256 Credential=([^/]+)/(\d{4}-\d{2}-\d{2})/sms/tc3_request,"
    r" SignedHeaders=([a-z0-9;-]+), Signature=([0-9a-f]{64})"
)
ALIYUN_WINDOW_S, TENCENT_WINDOW_S = 900, 300


class Unsigned(Exception):
    """The provider's error code is the argument."""


def check_aliyun(
    *, raw_query: str, headers: Mapping[str, str], body: bytes, keys: Mapping[str, str], now: datetime, seen: set[str]
) -> None:
    """Raises `Unsigned`. `seen` are the nonces so far; `raw_query` as it came."""
    found = _ACS.fullmatch(headers.get("authorization", ""))
    if found is None:
        raise Unsigned("IncompleteSignature")
    key_id, signed, given = found.groups()
    if key_id not in keys:
        raise Unsigned("InvalidAccessKeyId.NotFound")
    names = signed.split(";")
    needed = {"host", "x-acs-action", "x-acs-content-sha256", "x-acs-date", "x-acs-signature-nonce", "x-acs-version"}
    if not needed <= set(names) or names != sorted(names):
        raise Unsigned("IncompleteSignature")
    digest = hashlib.sha256(body).hexdigest()
    if headers["x-acs-content-sha256"] != digest:
        raise Unsigned("SignatureDoesNotMatch")
    query = "&".join(sorted(raw_query.split("&"))) if raw_query else ""
    block = "".join(f"{n}:{headers.get(n, '').strip()}\n" for n in names)
    request = f"POST\n/\n{query}\n{block}\n{signed}\n{digest}"
    text = "ACS3-HMAC-SHA256\n" + hashlib.sha256(request.encode()).hexdigest()
    if not hmac.compare_digest(hmac.new(keys[key_id].encode(), text.encode(), "sha256").hexdigest(), given):
        raise Unsigned("SignatureDoesNotMatch")
    stamp = datetime.strptime(headers["x-acs-date"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    if abs((now - stamp).total_seconds()) > ALIYUN_WINDOW_S:
        raise Unsigned("InvalidTimeStamp.Expired")
    if headers["x-acs-signature-nonce"] in seen:
        raise Unsigned("SignatureNonceUsed")
    seen.add(headers["x-acs-signature-nonce"])


def check_tencent(*, headers: Mapping[str, str], body: bytes, keys: Mapping[str, str], now: datetime) -> None:
    """Raises `Unsigned`."""
    found = _TC.fullmatch(headers.get("authorization", ""))
    if found is None:
        raise Unsigned("AuthFailure.InvalidAuthorization")
    key_id, day, signed, given = found.groups()
    if key_id not in keys:
        raise Unsigned("AuthFailure.SecretIdNotFound")
    stamp = headers.get("x-tc-timestamp", "")
    if not stamp.isdigit() or abs(now.timestamp() - int(stamp)) > TENCENT_WINDOW_S:
        raise Unsigned("AuthFailure.SignatureExpire")
    if datetime.fromtimestamp(int(stamp), UTC).date().isoformat() != day or not {"content-type", "host"} <= set(
        signed.split(";")
    ):
        raise Unsigned("AuthFailure.SignatureFailure")
    block = "".join(f"{n}:{headers.get(n, '').strip().lower()}\n" for n in signed.split(";"))
    request = f"POST\n/\n\n{block}\n{signed}\n{hashlib.sha256(body).hexdigest()}"
    scope = f"{day}/sms/tc3_request"
    text = f"TC3-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    key = ("TC3" + keys[key_id]).encode()
    for step in (day, "sms", "tc3_request"):
        key = hmac.new(key, step.encode(), "sha256").digest()
    if not hmac.compare_digest(hmac.new(key, text.encode(), "sha256").hexdigest(), given):
        raise Unsigned("AuthFailure.SignatureFailure")
