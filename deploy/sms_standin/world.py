"""What the stand-in remembers: messages, limits, faults, and the receipts it still owes."""

import asyncio
import json
import logging
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, Literal

import aiohttp
from pydantic import BaseModel, ConfigDict, Field

from deploy.wechat_sandbox.clock import VirtualClock

log = logging.getLogger(__name__)
Provider = Literal["aliyun", "tencent"]


class Fault(BaseModel):
    """Acts on the next `count` calls of a provider: a refusal by `code`, an HTTP status, a 500 after acceptance."""

    model_config = ConfigDict(extra="forbid")

    provider: Provider
    kind: Literal["code", "status", "fail_after_accept", "latency"]
    code: str = ""
    status: int = Field(default=503, ge=400, le=599)
    delay_s: float = Field(default=1.0, ge=0, le=60)
    count: int = Field(default=1, ge=1)


class Behaviour(BaseModel):
    """Of receipts: after how long, what share is lost or says failure; where they are pushed."""

    model_config = ConfigDict(extra="forbid")

    receipt_delay_s: float = Field(default=0.2, ge=0, le=86_400)
    lost: float = Field(default=0.0, ge=0, le=1)
    failed: float = Field(default=0.0, ge=0, le=1)
    doubled: float = Field(default=0.0, ge=0, le=1)
    aliyun_callback: str = ""
    tencent_callback: str = ""


@dataclass(kw_only=True)
class World:
    clock: VirtualClock
    keys: dict[str, str]
    log: Path | None = None
    seed: int = 1
    behaviour: Behaviour = field(default_factory=Behaviour)
    faults: list[Fault] = field(default_factory=list)
    messages: list[dict[str, Any]] = field(default_factory=list)
    nonces: set[str] = field(default_factory=set)
    templates: dict[str, str] = field(default_factory=dict)
    per_number_day: int = 40
    per_number_template_day: int = 50
    _of_number: dict[tuple[str, ...], list[datetime]] = field(default_factory=lambda: defaultdict(list))
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.rng = Random(self.seed)  # noqa: S311 - chance of a rehearsal
        if self.log is not None and self.log.exists():
            self.messages = [json.loads(line) for line in self.log.read_text("utf-8").splitlines()]

    def fault(self, provider: Provider) -> Fault | None:
        for fault in self.faults:
            if fault.provider == provider:
                fault.count -= 1
                if fault.count == 0:
                    self.faults.remove(fault)
                return fault
        return None

    def over_limit(self, *, provider: Provider, number: str, template: str) -> bool:
        """Counts the message; both windows are the 24 hours up to now, and a failed receipt counts as well."""
        now, day = self.clock.now(), timedelta(hours=24)
        windows: list[tuple[tuple[str, ...], int]] = [((provider, number), self.per_number_day)]
        if provider == "aliyun":
            windows.append(((provider, number, template), self.per_number_template_day))
        for key, _ in windows:
            self._of_number[key] = [at for at in self._of_number[key] if at > now - day]
        if any(len(self._of_number[key]) >= most for key, most in windows):
            return True
        for key, _ in windows:
            self._of_number[key].append(now)
        return False

    def accept(self, *, provider: Provider, number: str, template: str, text: str, context: str) -> str:
        reference = f"{provider}-{len(self.messages) + 1:08d}"
        entry = {
            "seq": len(self.messages) + 1, "provider": provider, "number": number, "template": template, "text": text,
            "context": context, "reference": reference, "at": self.clock.now().isoformat(),
        }  # fmt: skip
        self.messages.append(entry)
        if self.log is not None:
            with self.log.open("a", encoding="utf-8") as file:
                file.write(json.dumps(entry, ensure_ascii=False) + "\n")
        self._owe_receipt(entry)
        return reference

    def _owe_receipt(self, entry: dict[str, Any]) -> None:
        callback = getattr(self.behaviour, f"{entry['provider']}_callback")
        if not callback or self.rng.random() < self.behaviour.lost:
            return
        good = self.rng.random() >= self.behaviour.failed
        times = 2 if self.rng.random() < self.behaviour.doubled else 1
        due = self.clock.seconds() + self.behaviour.receipt_delay_s
        task = asyncio.create_task(self._push(callback, entry, good, times, due))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _push(self, callback: str, entry: dict[str, Any], good: bool, times: int, due: float) -> None:
        await self.clock.sleep_until(at_s=due)
        body = [_report(entry, good, self.clock.now())]
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
            for _ in range(times):
                try:
                    async with session.post(callback, json=body) as answer:
                        await answer.read()
                except (aiohttp.ClientError, TimeoutError) as error:
                    log.warning("receipt not delivered: %s", type(error).__name__)

    def behave(self, changes: dict[str, Any]) -> None:
        self.behaviour = Behaviour.model_validate({**self.behaviour.model_dump(), **changes})

    def move_clock(self, wanted: dict[str, Any]) -> None:
        if wanted.get("frozen"):
            self.clock.freeze()
        self.clock.jump(seconds=float(wanted.get("jump_s", 0)))

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def _report(entry: dict[str, Any], good: bool, at: datetime) -> dict[str, Any]:
    stamp = at.strftime("%Y-%m-%d %H:%M:%S")
    if entry["provider"] == "aliyun":
        return {
            "phone_number": entry["number"], "send_time": stamp, "report_time": stamp, "success": good,
            "err_code": "DELIVERED" if good else "MK:0001", "err_msg": "", "sms_size": "1",
            "biz_id": entry["reference"], "out_id": entry["context"],
        }  # fmt: skip
    return {
        "user_receive_time": stamp, "nationcode": "86", "mobile": entry["number"],
        "report_status": "SUCCESS" if good else "FAIL", "errmsg": "DELIVRD" if good else "UNDELIV", "description": "",
        "sid": entry["reference"], "ext": entry["context"],
    }  # fmt: skip
