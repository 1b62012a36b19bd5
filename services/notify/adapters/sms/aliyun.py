"""Alibaba Cloud SMS: SendSms of 2017-05-25 under the V3 signature (ACS3-HMAC-SHA256)."""

import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from urllib.parse import quote, urlsplit

import aiohttp
from yarl import URL

from services.notify.adapters.exchange import call, check_base, read_object
from services.notify.adapters.port import NO_MEMORY, Accepted, ChannelError, Outgoing
from services.notify.adapters.sms.numbers import national
from services.notify.rules.retries import FailureKind

_K = FailureKind
_EMPTY = hashlib.sha256(b"").hexdigest()
_ACCOUNT = ("isv.AMOUNT_NOT_ENOUGH", "isv.OUT_OF_SERVICE", "isv.ACCOUNT_", "isp.RAM_PERMISSION_DENY", "isv.PRODUCT_",
            "SignatureDoesNotMatch", "InvalidAccessKeyId", "Forbidden", "InvalidTimeStamp")  # fmt: skip
_CODES: tuple[tuple[str, FailureKind], ...] = (
    ("isv.BUSINESS_LIMIT_CONTROL", _K.FREQUENCY),
    ("isv.DAY_LIMIT_CONTROL", _K.DAY_QUOTA),
    ("isv.MONTH_LIMIT_CONTROL", _K.CONFIGURATION),
    ("isv.MOBILE_NUMBER_ILLEGAL", _K.RECIPIENT),
    ("isv.MOBILE_COUNT_OVER_LIMIT", _K.CONTENT),
    ("isv.BLACK_KEY_CONTROL_LIMIT", _K.CONTENT),
    ("isv.PARAM_LENGTH_LIMIT", _K.CONTENT),
    ("isv.PARAM_NOT_SUPPORT_URL", _K.CONTENT),
    ("isv.TEMPLATE_MISSING_PARAMETERS", _K.CONTENT),
    ("isv.TEMPLATE_PARAMS_ILLEGAL", _K.CONTENT),
    ("isv.INVALID_JSON_PARAM", _K.CONTENT),
    ("isp.SYSTEM_ERROR", _K.TRANSIENT),
    ("Throttling", _K.TRANSIENT),
    ("ServiceUnavailable", _K.TRANSIENT),
    ("InternalError", _K.TRANSIENT),
)
"""By prefix; a code that is not here is a configuration error: shown to a person, never retried blindly."""


def canonical_query(parameters: Mapping[str, str]) -> str:
    return "&".join(f"{_quoted(k)}={_quoted(v)}" for k, v in sorted(parameters.items()))


def authorization(
    *, method: str, query: Mapping[str, str], headers: Mapping[str, str], key_id: str, secret: str
) -> str:
    """The Authorization header for a call of `/`; `headers` are those to sign, in lower case."""
    names = sorted(headers)
    lines = "".join(f"{name}:{headers[name].strip()}\n" for name in names)
    signed = ";".join(names)
    request = "\n".join((method, "/", canonical_query(query), lines, signed, headers["x-acs-content-sha256"]))
    to_sign = f"ACS3-HMAC-SHA256\n{hashlib.sha256(request.encode()).hexdigest()}"
    signature = hmac.new(secret.encode(), to_sign.encode(), hashlib.sha256).hexdigest()
    return f"ACS3-HMAC-SHA256 Credential={key_id},SignedHeaders={signed},Signature={signature}"


class AliyunSms:
    """`codes` maps our template ids to the provider's; without an entry ours is sent."""

    name = "aliyun"
    dedupe = NO_MEMORY
    shared = True

    def __init__(
        self, *, session: aiohttp.ClientSession, base_url: str, key_id: str, secret: str, sign_name: str,
        codes: Mapping[str, str], now: Callable[[], datetime],
    ) -> None:  # fmt: skip
        self._session = session
        self._base_url = check_base(base_url)
        self._key_id = key_id
        self._secret = secret
        self._sign_name = sign_name
        self._codes = codes
        self._now = now

    async def send(self, message: Outgoing) -> Accepted:
        query = {
            "PhoneNumbers": national(message.address), "SignName": self._sign_name,
            "TemplateCode": self._codes.get(message.template_id, message.template_id),
            "TemplateParam": json.dumps(dict(message.fields), ensure_ascii=False), "OutId": message.delivery_id.hex,
        }  # fmt: skip
        headers = {
            "host": urlsplit(self._base_url).netloc, "x-acs-action": "SendSms", "x-acs-version": "2017-05-25",
            "x-acs-date": self._now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "x-acs-content-sha256": _EMPTY,
            # Unique per attempt, and not guessable before it is sent: that is all a nonce has to be.
            "x-acs-signature-nonce": hashlib.sha256(
                f"{message.message_id}|{self._now().isoformat()}|{self._secret}".encode()
            ).hexdigest()[:32],
        }  # fmt: skip
        headers["Authorization"] = authorization(
            method="POST", query=query, headers=headers, key_id=self._key_id, secret=self._secret
        )
        url = f"{self._base_url}/?{canonical_query(query)}"
        status, answer = await call(self._session, "POST", URL(url, encoded=True), headers=headers, body=b"")
        return _read(status, answer)


def _read(status: int, answer: bytes) -> Accepted:
    if status >= 500:
        raise ChannelError(f"HTTP {status}", kind=_K.TRANSIENT, ambiguous=True)
    fields = read_object(answer)
    code = str(fields.get("Code", ""))
    if code == "OK":
        return Accepted(reference=str(fields.get("BizId") or "") or None)
    kind = next((kind for prefix, kind in _CODES if code.startswith(prefix)), _K.CONFIGURATION)
    raise ChannelError(f"aliyun {code}", kind=kind, account_wide=code.startswith(_ACCOUNT))


def _quoted(text: str) -> str:
    return quote(text, safe="-_.~")
