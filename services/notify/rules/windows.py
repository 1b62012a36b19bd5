"""How many customer-service messages an action of a person allows, and for how long: pure.

Source: WeChat, 客服消息 (Customer_Service_Messages); status: confirmed on its newest text, older ones said 20 for 5.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


class Deed(StrEnum):
    MESSAGE = "message"
    MENU = "menu"
    """click, scancode_push, scancode_waitmsg; a tap on a menu never opens the long window."""
    FOLLOW = "follow"
    SCAN = "scan"


ALLOWED: dict[Deed, tuple[int, timedelta]] = {
    Deed.MESSAGE: (5, timedelta(hours=48)),
    Deed.MENU: (3, timedelta(minutes=1)),
    Deed.FOLLOW: (3, timedelta(minutes=1)),
    Deed.SCAN: (3, timedelta(minutes=1)),
}
_OF_EVENT = {
    "CLICK": Deed.MENU,
    "scancode_push": Deed.MENU,
    "scancode_waitmsg": Deed.MENU,
    "subscribe": Deed.FOLLOW,
    "SCAN": Deed.SCAN,
}


@dataclass(frozen=True, kw_only=True)
class Window:
    deed: Deed
    left: int
    closes_at: datetime


def deed_of(*, msg_type: str, event: str) -> Deed | None:
    """None for what opens no window, such as a receipt or VIEW."""
    return Deed.MESSAGE if msg_type != "event" else _OF_EVENT.get(event)


def opened_by(deed: Deed, *, at: datetime) -> Window:
    """The window of a deed; a new one of the same kind replaces the old."""
    count, length = ALLOWED[deed]
    return Window(deed=deed, left=count, closes_at=at + length)


def usable(windows: Iterable[Window], *, now: datetime) -> Window | None:
    """The window to send from: of those with something left the one that closes first."""
    return min((w for w in windows if w.left > 0 and w.closes_at > now), key=lambda w: w.closes_at, default=None)
