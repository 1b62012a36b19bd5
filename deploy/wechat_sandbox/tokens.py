"""Access tokens of both kinds: overlap, invalidation, expiry. The two kinds do not affect each other."""

import secrets
from dataclasses import dataclass
from typing import Any

from deploy.wechat_sandbox.answers import Refused
from deploy.wechat_sandbox.clock import VirtualClock

LIFETIME_S = 7200
STABLE_OVERLAP_S = 300
FORCE_GAP_S = 30
FORCES_PER_DAY = 20


@dataclass
class _Token:
    value: str
    expires_at_s: float
    dies_at_s: float = float("inf")
    """Invalidated by a successor or by an operator: 40001; at its natural end it answers 42001."""


class TokenDesk:
    def __init__(self, *, clock: VirtualClock) -> None:
        self._clock = clock
        self._known: dict[str, _Token] = {}
        self._stable: _Token | None = None
        self._classic: _Token | None = None
        self._ticket: _Token | None = None
        self._forced_at_s: list[float] = []
        self.issued = 0

    def stable(self, *, force: bool) -> dict[str, Any]:
        now = self._clock.seconds()
        current = self._stable
        if force and current is not None and self._may_force(now):
            current.dies_at_s = now
            self._forced_at_s.append(now)
            current = None
        if current is None or current.dies_at_s <= now or current.expires_at_s - now <= STABLE_OVERLAP_S:
            current = self._stable = self._issue(now)
        return _answer(current, now)

    def classic(self, *, overlap_s: float) -> dict[str, Any]:
        now = self._clock.seconds()
        if self._classic is not None:
            self._classic.dies_at_s = min(self._classic.dies_at_s, now + overlap_s)
        self._classic = self._issue(now)
        return _answer(self._classic, now)

    def ticket(self) -> dict[str, Any]:
        """The jsapi_ticket: the same until it has ended."""
        now = self._clock.seconds()
        if self._ticket is None or self._ticket.expires_at_s <= now:
            self._ticket = _Token(f"sandbox_ticket_{secrets.token_urlsafe(48)}", now + LIFETIME_S)
        return {"ticket": self._ticket.value, "expires_in": int(self._ticket.expires_at_s - now)}

    def check(self, *, value: str | None) -> None:
        """Raises `Refused` 41001, 40001 or 42001."""
        if not value:
            raise Refused(41001)
        token = self._known.get(value)
        now = self._clock.seconds()
        if token is None or token.dies_at_s <= now:
            raise Refused(40001)
        if token.expires_at_s <= now:
            raise Refused(42001)

    def revoke_all(self) -> None:
        now = self._clock.seconds()
        for token in self._known.values():
            token.dies_at_s = min(token.dies_at_s, now)

    def _may_force(self, now: float) -> bool:
        self._forced_at_s = [at for at in self._forced_at_s if now - at < 86_400]
        if len(self._forced_at_s) >= FORCES_PER_DAY:
            raise Refused(45009, "reach max api daily quota limit")
        return not self._forced_at_s or now - self._forced_at_s[-1] >= FORCE_GAP_S

    def _issue(self, now: float) -> _Token:
        # Long on purpose: storage for a token has to hold 512 characters.
        token = _Token(f"sandbox_{secrets.token_urlsafe(270)}", now + LIFETIME_S)
        self._known[token.value] = token
        self.issued += 1
        return token


def _answer(token: _Token, now: float) -> dict[str, Any]:
    return {"access_token": token.value, "expires_in": int(token.expires_at_s - now)}
