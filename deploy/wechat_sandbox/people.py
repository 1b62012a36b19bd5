"""Followers: who may be reached how, and the reply windows that their own actions open."""

from dataclasses import dataclass, field
from enum import StrEnum

from deploy.wechat_sandbox.answers import Refused

UNLIMITED = -1


class Standing(StrEnum):
    FOLLOWING = "following"
    BLOCKED = "blocked"
    """The person refuses the account's messages: a send is accepted and its job fails with `user block`."""
    UNSUBSCRIBED = "unsubscribed"
    BLACKLISTED = "blacklisted"
    REFUSES = "refuses"
    REJECTS = "rejects"


REFUSALS = {
    Standing.UNSUBSCRIBED: 43004,
    Standing.BLACKLISTED: 43019,
    Standing.REFUSES: 43101,
    Standing.REJECTS: 48002,
}


class Deed(StrEnum):
    """What a person did; each opens a reply window of its own."""

    MESSAGE = "message"
    MENU = "menu"
    FOLLOW = "follow"
    SCAN = "scan"
    PAY = "pay"


_HOURS_48 = 48 * 3600.0
WINDOWS: dict[Deed, tuple[int, float]] = {
    Deed.MESSAGE: (5, _HOURS_48),
    Deed.MENU: (3, 60.0),
    Deed.FOLLOW: (3, 60.0),
    Deed.SCAN: (3, 60.0),
    Deed.PAY: (UNLIMITED, _HOURS_48),
}


@dataclass
class _Window:
    left: int
    closes_at_s: float


@dataclass
class Follower:
    openid: str
    nickname: str = ""
    standing: Standing = Standing.FOLLOWING
    consents: dict[str, int] = field(default_factory=dict)
    """Template id -> subscribe messages still allowed; `UNLIMITED` for a long-term consent."""
    said: list[dict[str, object]] = field(default_factory=list)
    _windows: dict[Deed, _Window] = field(default_factory=dict)

    def did(self, deed: Deed, *, now_s: float) -> None:
        count, seconds = WINDOWS[deed]
        self._windows[deed] = _Window(count, now_s + seconds)

    def take_from_window(self, *, now_s: float) -> None:
        """Uses the window that closes first. Raises `Refused` 45015 (none open) or 45047 (all used up)."""
        open_ = sorted((w for w in self._windows.values() if w.closes_at_s > now_s), key=lambda w: w.closes_at_s)
        if not open_:
            raise Refused(45015)
        for window in open_:
            if window.left != 0:
                window.left -= window.left > 0
                return
        raise Refused(45047)

    def take_consent(self, *, template_id: str) -> None:
        """Raises `Refused` 43101."""
        left = self.consents.get(template_id, 0)
        if self.standing is Standing.REFUSES or left == 0:
            raise Refused(43101)
        if left > 0:
            self.consents[template_id] = left - 1
