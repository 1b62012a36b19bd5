"""Tencent Cloud SMS: SendSms of 2021-01-11 under the signature TC3-HMAC-SHA256."""

import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from urllib.parse import urlsplit

import aiohttp

from services.notify.adapters.exchange import call, check_base, read_object
from services.notify.adapters.port import NO_MEMORY, Accepted, ChannelError, Outgoing
from services.notify.adapters.sms.numbers import international
from services.notify.rules.retries import FailureKind

_K = FailureKind
_ACCOUNT = (
    "AuthFailure",
    "UnauthorizedOperation",
    "FailedOperation.InsufficientBalance",
    "InvalidParameterValue.SdkApp",
)
_CODES: tuple[tuple[str, FailureKind], ...] = (
    ("LimitExceeded.AppDailyLimit", _K.DAY_QUOTA),
    ("LimitExceeded.DailyLimit", _K.DAY_QUOTA),
    ("LimitExceeded", _K.FREQUENCY),
    ("FailedOperation.PhoneNumberInBlacklist", _K.RECIPIENT),
    ("InvalidParameterValue.IncorrectPhoneNumber", _K.RECIPIENT),
    ("UnsupportedOperation", _K.RECIPIENT),
    ("FailedOperation.ContainSensitiveWord", _K.CONTENT),
    ("InvalidParameterValue.TemplateParameter", _K.CONTENT),
    ("InvalidParameterValue.ContentLengthLimit", _K.CONTENT),
    ("RequestLimitExceeded", _K.TRANSIENT),
    ("InternalError", _K.TRANSIENT),
    ("ResourceUnavailable", _K.TRANSIENT),
)
"""By prefix; a code that is not here is a configuration error: shown to a person, never retried blindly."""


def signature(*, canonical_request: str, service: str, timestamp: int, secret: str) -> str:
    day = datetime.fromtimestamp(timestamp, UTC).strftime("%Y-%m-%d")
    scope = f"{day}/{service}/tc3_request"
    hashed = hashlib.sha256(canonical_request.encode()).hexdigest()
    to_sign = f"TC3-HMAC-SHA256\n{timestamp}\n{scope}\n{hashed}"
    key = hmac.digest(f"TC3{secret}".encode(), day.encode(), hashlib.sha256)
    key = hmac.digest(key, service.encode(), hashlib.sha256)
    key = hmac.digest(key, b"tc3_request", hashlib.sha256)
    return hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()


def canonical_request(*, headers: Mapping[str, str], body: bytes) -> tuple[str, str]:
    """The request to sign for a POST of `/`, and the names of its signed headers; `headers` in lower case."""
    names = sorted(headers)
    lines = "".join(f"{name}:{headers[name].strip().lower()}\n" for name in names)
    signed = ";".join(names)
    return f"POST\n/\n\n{lines}\n{signed}\n{hashlib.sha256(body).hexdigest()}", signed


class TencentSms:
    """`codes` maps our template ids to the provider's; without an entry ours is sent."""

    name = "tencent"
    dedupe = NO_MEMORY
    shared = True

    def __init__(
        self, *, session: aiohttp.ClientSession, base_url: str, key_id: str, secret: str, app_id: str, region: str,
        sign_name: str, codes: Mapping[str, str], now: Callable[[], datetime],
    ) -> None:  # fmt: skip
        self._session = session
        self._base_url = check_base(base_url)
        self._key_id = key_id
        self._secret = secret
        self._app_id = app_id
        self._region = region
        self._sign_name = sign_name
        self._codes = codes
        self._now = now

    async def send(self, message: Outgoing) -> Accepted:
        body = json.dumps(
            {
                "PhoneNumberSet": [international(message.address)], "SmsSdkAppId": self._app_id,
                "SignName": self._sign_name,
                "TemplateId": self._codes.get(message.template_id, message.template_id),
                "TemplateParamSet": list(message.fields.values()), "SessionContext": message.delivery_id.hex,
            },
            ensure_ascii=False,
        ).encode()  # fmt: skip
        stamp = int(self._now().timestamp())
        signed_headers = {
            "content-type": "application/json; charset=utf-8", "host": urlsplit(self._base_url).netloc,
            "x-tc-action": "sendsms",
        }  # fmt: skip
        request, names = canonical_request(headers=signed_headers, body=body)
        signed = signature(canonical_request=request, service="sms", timestamp=stamp, secret=self._secret)
        day = datetime.fromtimestamp(stamp, UTC).strftime("%Y-%m-%d")
        headers = {
            "Content-Type": signed_headers["content-type"], "Host": signed_headers["host"], "X-TC-Action": "SendSms",
            "X-TC-Version": "2021-01-11", "X-TC-Region": self._region, "X-TC-Timestamp": str(stamp),
            "Authorization": f"TC3-HMAC-SHA256 Credential={self._key_id}/{day}/sms/tc3_request,"
            f" SignedHeaders={names}, Signature={signed}",
        }  # fmt: skip
        status, answer = await call(self._session, "POST", self._base_url + "/", headers=headers, body=body)
        return _read(status, answer)


def _read(status: int, answer: bytes) -> Accepted:
    if status >= 500:
        raise ChannelError(f"HTTP {status}", kind=_K.TRANSIENT, ambiguous=True)
    response = read_object(answer).get("Response")
    if not isinstance(response, dict):
        raise ChannelError("answer without Response", kind=_K.TRANSIENT, ambiguous=True)
    if isinstance(error := response.get("Error"), dict):
        raise _refused(str(error.get("Code", "")))
    statuses = response.get("SendStatusSet")
    if not isinstance(statuses, list) or not statuses or not isinstance(statuses[0], dict):
        raise ChannelError("answer without status", kind=_K.TRANSIENT, ambiguous=True)
    if statuses[0].get("Code") != "Ok":
        raise _refused(str(statuses[0].get("Code", "")))
    return Accepted(reference=str(statuses[0].get("SerialNo") or "") or None)


def _refused(code: str) -> ChannelError:
    kind = next((kind for prefix, kind in _CODES if code.startswith(prefix)), _K.CONFIGURATION)
    return ChannelError(f"tencent {code}", kind=kind, account_wide=code.startswith(_ACCOUNT))
