"""Mail over the company's relay."""

from datetime import timedelta
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr

import aiosmtplib

from services.notify.adapters.port import NO_MEMORY, Accepted, ChannelError, Outgoing
from services.notify.rules.retries import FailureKind

_RECIPIENT_CODES = frozenset({550, 551, 553, 556})
_ACCOUNT_CODES = frozenset({530, 534, 535, 538})


class Mail:
    """STARTTLS unless `tls` is off; without TLS on an outside relay nothing is sent."""

    name = "mail"
    dedupe: timedelta = NO_MEMORY
    shared = True

    def __init__(self, *, host: str, port: int, user: str, password: str | None, tls: bool, sender: str) -> None:
        self._host = host
        self._port = port
        self._user = user or None
        self._password = password
        self._tls = tls
        self._from = sender
        self._domain = parseaddr(sender)[1].rpartition("@")[2] or "localhost"

    async def send(self, message: Outgoing) -> Accepted:
        mail = self.composed(message)
        try:
            refused, _ = await aiosmtplib.send(
                mail, hostname=self._host, port=self._port, username=self._user, password=self._password,
                start_tls=self._tls, timeout=8,
            )  # fmt: skip
        except aiosmtplib.SMTPException as error:
            raise _failure(error) from None
        except (OSError, TimeoutError) as error:
            raise ChannelError(type(error).__name__, kind=FailureKind.TRANSIENT, ambiguous=True) from None
        if refused:
            code = next(iter(refused.values()))[0]
            raise _by_code(code, f"SMTP {code}")
        return Accepted(reference=str(mail["Message-ID"]))

    def composed(self, message: Outgoing) -> EmailMessage:
        """Plain text; no recipient can inject a header, because the library refuses line breaks in them."""
        mail = EmailMessage()
        mail["From"] = self._from
        mail["To"] = message.address
        mail["Subject"] = " ".join(message.title.split())
        mail["Date"] = format_datetime(message.sent_at)
        mail["Message-ID"] = f"<{message.delivery_id.hex}@{self._domain}>"
        mail["Auto-Submitted"] = "auto-generated"
        if message.unsubscribe is not None:
            mail["List-Unsubscribe"] = f"<{message.unsubscribe}>"
            mail["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
        link = f"\n\n{message.link}" if message.link else ""
        mail.set_content(f"{message.body}{link}\n", charset="utf-8")
        return mail


def _failure(error: aiosmtplib.SMTPException) -> ChannelError:
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        code = error.recipients[0].code
        return _by_code(code, f"SMTP {code}")
    if isinstance(error, aiosmtplib.SMTPResponseException):
        return _by_code(error.code, f"SMTP {error.code}")
    if isinstance(error, aiosmtplib.SMTPConnectError | aiosmtplib.SMTPConnectTimeoutError):
        return ChannelError(type(error).__name__, kind=FailureKind.TRANSIENT)
    if "STARTTLS" in str(error):  # the library has no type of its own for it
        return ChannelError("relay without STARTTLS", kind=FailureKind.CONFIGURATION, account_wide=True)
    return ChannelError(type(error).__name__, kind=FailureKind.TRANSIENT, ambiguous=True)


def _by_code(code: int, reason: str) -> ChannelError:
    """4xx is tried again, 5xx is final (RFC 5321 §4.2.1)."""
    if code in _ACCOUNT_CODES:
        return ChannelError(reason, kind=FailureKind.CONFIGURATION, account_wide=True)
    if code < 500:
        return ChannelError(reason, kind=FailureKind.TRANSIENT)
    return ChannelError(reason, kind=FailureKind.RECIPIENT if code in _RECIPIENT_CODES else FailureKind.CONTENT)
