"""The fault script: what goes wrong, for which calls, how often. Every hit is counted for the tests."""

from random import Random
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from deploy.wechat_sandbox.clock import VirtualClock

FaultKind = Literal[
    "errcode", "latency", "slow_answer", "reset_before", "reset_after_accept", "hang_after_accept", "http_status",
    "malformed",
]  # fmt: skip


class Fault(BaseModel):
    """Acts on the next `count` calls (null: all), for `for_s` virtual seconds (null: until removed).

    `latency` waits before the call is handled, `slow_answer` after it, `hang_after_accept` waits after it and then
    cuts the connection. The `reset_*` kinds cut it at once; `http_status` and `malformed` come instead of handling.
    """

    model_config = ConfigDict(extra="forbid")

    kind: FaultKind
    api: str = Field(default="*", description="such as message/template/send; * for all")
    openid: str | None = None
    count: int | None = Field(default=1, ge=1)
    for_s: float | None = Field(default=None, gt=0)
    probability: float = Field(default=1.0, gt=0, le=1)
    errcode: int = -1
    errmsg: str | None = None
    delay_s: float = Field(default=1.0, ge=0, le=600)
    status: int = Field(default=503, ge=300, le=599)


class ArmedFault:
    def __init__(self, *, number: int, fault: Fault, now_s: float) -> None:
        self.number = number
        self.fault = fault
        self.hits = 0
        self._ends_at_s = now_s + fault.for_s if fault.for_s is not None else float("inf")

    def active(self, *, now_s: float) -> bool:
        return now_s < self._ends_at_s and (self.fault.count is None or self.hits < self.fault.count)

    def view(self, *, now_s: float) -> dict[str, object]:
        return {"number": self.number, "hits": self.hits, "active": self.active(now_s=now_s)} | self.fault.model_dump()


class FaultScript:
    def __init__(self, *, clock: VirtualClock, rng: Random) -> None:
        self._clock = clock
        self._rng = rng
        self._armed: list[ArmedFault] = []

    def arm(self, *, fault: Fault) -> int:
        self._armed.append(ArmedFault(number=len(self._armed) + 1, fault=fault, now_s=self._clock.seconds()))
        return len(self._armed)

    def clear(self) -> None:
        self._armed.clear()

    def view(self) -> list[dict[str, object]]:
        return [armed.view(now_s=self._clock.seconds()) for armed in self._armed]

    def next(self, *, api: str, openid: str | None) -> Fault | None:
        """The first armed fault that meets this call; it is used up by that."""
        now = self._clock.seconds()
        for armed in self._armed:
            fault = armed.fault
            meets = fault.api in ("*", api) and fault.openid in (None, openid) and armed.active(now_s=now)
            if meets and self._rng.random() < fault.probability:
                armed.hits += 1
                return fault
        return None
