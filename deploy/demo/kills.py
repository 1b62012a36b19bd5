"""kill -9 of services in the middle of the story, at moments that a seed repeats; a planned kill must happen."""

import asyncio
import random
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from deploy.local.processes import Child

MOMENTS: dict[str, tuple[str, ...]] = {
    "inspection": ("archive", "visits", "rectify", "verify", "close", "oil-1", "oil-2"),
    "outage": ("archive", "network", "fault-1", "restore-1", "fault-2", "fault-3"),
    "portrait": ("early", "archive", "curves-1", "curves-2", "curves-3", "scores", "visits", "fault-1", "complaint"),
    "notify": ("archive", "scores", "fault-1", "restore-1", "visits", "rectify", "fault-2", "fault-3", "complaint"),
}
"""Steps of the story in which the service has work to lose, in their order."""


class KillMissed(RuntimeError):
    """A planned kill found no living process, or its step never came: the run proves nothing."""


@dataclass(frozen=True, kw_only=True)
class Kill:
    """`after_ms` behind the beginning of `step` the process is killed; it is started again after `down_ms`."""

    service: str
    step: str
    after_ms: int
    down_ms: int

    def __str__(self) -> str:
        return f"{self.service} at {self.step} + {self.after_ms} ms, down for {self.down_ms} ms"


def plan_kills(*, seed: int, services: Sequence[str], each: int = 1) -> tuple[Kill, ...]:
    """`each` kills of every service, at different steps; the same seed gives the same plan."""
    chance = random.Random(seed)  # noqa: S311  (moments of a test, not a secret)
    return tuple(
        Kill(service=service, step=step, after_ms=chance.randrange(0, 400), down_ms=chance.randrange(0, 1500))
        for service in services
        for step in chance.sample(MOMENTS[service], k=each)
    )


class Killer:
    """Carries out a plan beside the story; `finish` waits for the restarts and fails on a kill that did not happen."""

    def __init__(self, *, plan: Sequence[Kill], child: Callable[[str], Child], say: Callable[[str], None]) -> None:
        self.plan = tuple(plan)
        self.done: list[Kill] = []
        self._child = child
        self._say = say
        self._under_way: dict[str, asyncio.Task[None]] = {}

    async def reached(self, step: str) -> None:
        for kill in self.plan:
            if kill.step == step:
                if kill.service in self._under_way:
                    await self._under_way[kill.service]
                self._under_way[kill.service] = asyncio.create_task(self._carry_out(kill), name=str(kill))

    async def finish(self) -> None:
        for task in self._under_way.values():
            await task
        if missed := [str(kill) for kill in self.plan if kill not in self.done]:
            raise KillMissed(f"planned but not done: {'; '.join(missed)}")

    async def _carry_out(self, kill: Kill) -> None:
        await asyncio.sleep(kill.after_ms / 1000)
        child = self._child(kill.service)
        if not child.alive:
            raise KillMissed(f"{kill}: the process had ended by itself")
        child.kill()
        if child.returncode != -signal.SIGKILL:
            raise KillMissed(f"{kill}: it ended with {child.returncode}, not by the kill")
        self._say(f"kill -9: {kill}")
        await asyncio.sleep(kill.down_ms / 1000)
        child.start()
        await asyncio.to_thread(child.wait_ready)
        self.done.append(kill)
