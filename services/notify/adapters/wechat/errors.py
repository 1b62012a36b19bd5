"""What WeChat answers and what to do about it: one table for the client, the sandbox and the tests.

Codes and texts come from the official error lists and reported incidents. A code that is not here is `UNKNOWN`:
never retried blindly, always shown to a person.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class ErrorClass(StrEnum):
    TRANSIENT = "transient"
    RECIPIENT_FREQUENCY = "recipient_frequency"
    TOKEN = "token"  # noqa: S105 - a name, not a secret
    LOGIN = "login"
    QUOTA = "quota"
    RECIPIENT = "recipient"
    WINDOW = "window"
    CONTENT = "content"
    CONFIGURATION = "configuration"
    MASS_SEND = "mass_send"
    UNKNOWN = "unknown"


class Action(StrEnum):
    """What the sender does next; the durable part (waiting, channels, circuits) is the caller's."""

    RETRY_SAME_ID = "retry_same_id"
    """Back off with jitter and send again with the same client_msg_id, until the message's deadline."""
    HOLD_RECIPIENT = "hold_recipient"
    """Nothing to this openid for ten minutes or more: digest or next channel."""
    REFRESH_TOKEN_ONCE = "refresh_token_once"  # noqa: S105
    """The client has done it already; seen by a caller it means: alarm, the credentials are wrong."""
    LOGIN_AGAIN = "login_again"
    PAUSE_MINUTE = "pause_minute"
    PAUSE_TO_MIDNIGHT = "pause_to_midnight"
    """Midnight in Beijing; urgent messages go by another channel meanwhile."""
    NEXT_CHANNEL = "next_channel"
    """No retry: mark this channel of the person unusable with the reason, start the next one now."""
    SEND_TEMPLATE_INSTEAD = "send_template_instead"
    DEAD_LETTER = "dead_letter"
    """No retry: the template's owner has to change the content; other channels go on."""
    RETRY_ONCE_THEN_OPEN_CIRCUIT = "retry_once_then_open_circuit"
    OPEN_CIRCUIT = "open_circuit"
    """No retry for this template or account until an administrator has changed something."""
    ALREADY_ACCEPTED = "already_accepted"


@dataclass(frozen=True, slots=True)
class ErrorRule:
    code: int
    error_class: ErrorClass
    action: Action
    errmsg: str
    """As WeChat words it, without the rid; the sandbox answers with it."""


_T, _A = ErrorClass, Action

_ROWS: tuple[tuple[int, ErrorClass, Action, str], ...] = (
    (-1, _T.TRANSIENT, _A.RETRY_SAME_ID, "system error"),
    (45011, _T.TRANSIENT, _A.RETRY_SAME_ID, "api minute-quota reach limit, must slower, retry next minute"),
    (61450, _T.TRANSIENT, _A.RETRY_SAME_ID, "system error"),
    (43117, _T.RECIPIENT_FREQUENCY, _A.HOLD_RECIPIENT, "send message to this user too frequently"),
    (40001, _T.TOKEN, _A.REFRESH_TOKEN_ONCE, "invalid credential, access_token is invalid or not latest"),
    (40014, _T.TOKEN, _A.REFRESH_TOKEN_ONCE, "invalid access_token"),
    (41001, _T.TOKEN, _A.REFRESH_TOKEN_ONCE, "access_token missing"),
    (42001, _T.TOKEN, _A.REFRESH_TOKEN_ONCE, "access_token expired"),
    (40029, _T.LOGIN, _A.LOGIN_AGAIN, "invalid code"),
    (40030, _T.LOGIN, _A.LOGIN_AGAIN, "invalid refresh_token"),
    (40163, _T.LOGIN, _A.LOGIN_AGAIN, "code been used"),
    (42002, _T.LOGIN, _A.LOGIN_AGAIN, "refresh_token expired"),
    (42003, _T.LOGIN, _A.LOGIN_AGAIN, "code expired"),
    (42007, _T.LOGIN, _A.LOGIN_AGAIN, "access_token and refresh_token revoked, user must re-authorize"),
    (45009, _T.QUOTA, _A.PAUSE_TO_MIDNIGHT, "reach max api daily quota limit"),
    (48006, _T.QUOTA, _A.OPEN_CIRCUIT, "forbid to clear quota because of reaching the limit"),
    (40003, _T.RECIPIENT, _A.NEXT_CHANNEL, "invalid openid"),
    (43004, _T.RECIPIENT, _A.NEXT_CHANNEL, "require subscribe"),
    (43019, _T.RECIPIENT, _A.NEXT_CHANNEL, "require remove blacklist"),
    (43101, _T.RECIPIENT, _A.NEXT_CHANNEL, "user refuse to accept the msg"),
    (46004, _T.RECIPIENT, _A.NEXT_CHANNEL, "user no exist"),
    (48002, _T.RECIPIENT, _A.NEXT_CHANNEL, "user block receive message"),
    (50005, _T.RECIPIENT, _A.NEXT_CHANNEL, "user unsubscribed"),
    (65302, _T.RECIPIENT, _A.NEXT_CHANNEL, "user not exist"),
    (45015, _T.WINDOW, _A.SEND_TEMPLATE_INSTEAD, "response out of time limit or subscription is canceled"),
    (45047, _T.WINDOW, _A.SEND_TEMPLATE_INSTEAD, "out of response count limit"),
    (40007, _T.CONTENT, _A.DEAD_LETTER, "invalid media_id"),
    (40008, _T.CONTENT, _A.DEAD_LETTER, "invalid message type"),
    (
        40033,
        _T.CONTENT,
        _A.DEAD_LETTER,
        "invalid charset. please check your request, if include \\uxxxx will create fail!",
    ),
    (40035, _T.CONTENT, _A.DEAD_LETTER, "invalid args"),
    (41005, _T.CONTENT, _A.DEAD_LETTER, "media data missing"),
    (44002, _T.CONTENT, _A.DEAD_LETTER, "empty post data"),
    (44004, _T.CONTENT, _A.DEAD_LETTER, "empty content"),
    (45001, _T.CONTENT, _A.DEAD_LETTER, "media size out of limit"),
    (45002, _T.CONTENT, _A.DEAD_LETTER, "content size out of limit"),
    (47001, _T.CONTENT, _A.DEAD_LETTER, "data format error"),
    (47003, _T.CONTENT, _A.DEAD_LETTER, "argument invalid!"),
    (40037, _T.CONFIGURATION, _A.RETRY_ONCE_THEN_OPEN_CIRCUIT, "invalid template_id"),
    (40013, _T.CONFIGURATION, _A.OPEN_CIRCUIT, "invalid appid"),
    (40036, _T.CONFIGURATION, _A.OPEN_CIRCUIT, "invalid template_id size"),
    (40125, _T.CONFIGURATION, _A.OPEN_CIRCUIT, "invalid appsecret"),
    (40164, _T.CONFIGURATION, _A.OPEN_CIRCUIT, "invalid ip, not in whitelist"),
    (41004, _T.CONFIGURATION, _A.OPEN_CIRCUIT, "appsecret missing"),
    (45109, _T.CONFIGURATION, _A.OPEN_CIRCUIT, "api not supported"),
    (48001, _T.CONFIGURATION, _A.OPEN_CIRCUIT, "api unauthorized"),
    (48004, _T.CONFIGURATION, _A.OPEN_CIRCUIT, "api forbidden for irregularities"),
    (50002, _T.CONFIGURATION, _A.OPEN_CIRCUIT, "user limited"),
    (45065, _T.MASS_SEND, _A.ALREADY_ACCEPTED, "clientmsgid exist"),
    (45066, _T.MASS_SEND, _A.RETRY_SAME_ID, "same clientmsgid retry too fast"),
    (45067, _T.MASS_SEND, _A.DEAD_LETTER, "clientmsgid size out of limit"),
)

ERROR_RULES: Mapping[int, ErrorRule] = {code: ErrorRule(code, cls, act, text) for code, cls, act, text in _ROWS}

_MINUTE_QUOTA_WORDS = ("minute", "per min", "too fast", "频率")


def rule_for(*, errcode: int, errmsg: str = "") -> ErrorRule:
    """The row of a code. 45009 means two things told apart by the text alone: a minute's quota or the day's."""
    rule = ERROR_RULES.get(errcode)
    if rule is None:
        return ErrorRule(errcode, ErrorClass.UNKNOWN, Action.OPEN_CIRCUIT, errmsg)
    if errcode == 45009 and any(word in errmsg.lower() for word in _MINUTE_QUOTA_WORDS):
        return ErrorRule(errcode, rule.error_class, Action.PAUSE_MINUTE, rule.errmsg)
    return rule


class WechatError(Exception):
    """Any failed call. `ambiguous`: the message may have been accepted although no answer came."""

    error_class: ErrorClass
    action: Action
    ambiguous: bool = False


class WechatUnreachable(WechatError):
    """No usable answer. When ambiguous, only a retry with the same client_msg_id inside ten minutes is harmless."""

    error_class = ErrorClass.TRANSIENT
    action = Action.RETRY_SAME_ID

    def __init__(self, *, reason: str, ambiguous: bool) -> None:
        super().__init__(f"{reason}{' (may have been accepted)' if ambiguous else ''}")
        self.reason = reason
        self.ambiguous = ambiguous


class WechatRefused(WechatError):
    """WeChat answered with an errcode; `rid` is what its support asks for."""

    def __init__(self, *, errcode: int, errmsg: str, rid: str | None) -> None:
        super().__init__(f"errcode {errcode}: {errmsg}")
        rule = rule_for(errcode=errcode, errmsg=errmsg)
        self.errcode = errcode
        self.errmsg = errmsg
        self.rid = rid
        self.error_class = rule.error_class
        self.action = rule.action


class ProviderBusy(WechatRefused): ...


class RecipientTooFrequent(WechatRefused): ...


class TokenRejected(WechatRefused):
    """A fresh token was rejected too: wrong secret, a second program refreshing by force, or a wrong account."""


class LoginRefused(WechatRefused): ...


class QuotaExhausted(WechatRefused): ...


class RecipientUnreachable(WechatRefused): ...


class WindowClosed(WechatRefused): ...


class ContentRefused(WechatRefused): ...


class ConfigurationRefused(WechatRefused): ...


class UnknownRefusal(WechatRefused): ...


_EXCEPTIONS: Mapping[ErrorClass, type[WechatRefused]] = {
    ErrorClass.TRANSIENT: ProviderBusy,
    ErrorClass.RECIPIENT_FREQUENCY: RecipientTooFrequent,
    ErrorClass.TOKEN: TokenRejected,
    ErrorClass.LOGIN: LoginRefused,
    ErrorClass.QUOTA: QuotaExhausted,
    ErrorClass.RECIPIENT: RecipientUnreachable,
    ErrorClass.WINDOW: WindowClosed,
    ErrorClass.CONTENT: ContentRefused,
    ErrorClass.CONFIGURATION: ConfigurationRefused,
}


def refusal(*, errcode: int, errmsg: str, rid: str | None = None) -> WechatRefused:
    """The typed exception of an answer, to be raised by the caller."""
    exception = _EXCEPTIONS.get(rule_for(errcode=errcode, errmsg=errmsg).error_class, UnknownRefusal)
    return exception(errcode=errcode, errmsg=errmsg, rid=rid)
