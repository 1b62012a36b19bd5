"""A planned kill happens, is a kill, and repeats with its seed; one that does not happen fails the run."""

import asyncio
import sys
from pathlib import Path

import pytest

from deploy.demo.kills import MOMENTS, Kill, Killer, KillMissed, plan_kills
from deploy.local.processes import Child, Command


def _child(folder: Path, seconds: float) -> Child:
    argv = [sys.executable, "-c", f"import time; time.sleep({seconds})"]
    child = Child(Command(name="sleeper", argv=argv, log_path=folder / "log"))
    child.start()
    return child


def _killer(child: Child, *plan: Kill) -> Killer:
    return Killer(plan=plan, child=lambda _: child, say=print)


KILL = Kill(service="sleeper", step="fault-1", after_ms=10, down_ms=10)


def test_the_same_seed_plans_the_same_moments_and_another_seed_others() -> None:
    plan = plan_kills(seed=7, services=tuple(MOMENTS), each=2)
    assert plan == plan_kills(seed=7, services=tuple(MOMENTS), each=2)
    assert plan != plan_kills(seed=8, services=tuple(MOMENTS), each=2)
    assert sorted(k.service for k in plan) == sorted([*MOMENTS, *MOMENTS])
    assert all(k.step in MOMENTS[k.service] for k in plan)


def test_a_reached_step_kills_the_process_and_starts_another(tmp_path: Path) -> None:
    child = _child(tmp_path, 60)
    first = child.pid

    async def story() -> Killer:
        killer = _killer(child, KILL)
        await killer.reached("archive")
        assert child.pid == first
        await killer.reached("fault-1")
        await killer.finish()
        return killer

    try:
        assert asyncio.run(story()).done == [KILL]
        assert child.alive and child.pid != first
    finally:
        child.kill()


def test_a_step_that_never_comes_fails_the_run(tmp_path: Path) -> None:
    child = _child(tmp_path, 60)
    try:
        with pytest.raises(KillMissed, match="planned but not done"):
            asyncio.run(_killer(child, KILL).finish())
    finally:
        child.kill()


def test_a_process_that_had_ended_by_itself_fails_the_run(tmp_path: Path) -> None:
    child = _child(tmp_path, 0)
    child.wait_until(ready=lambda: True, timeout_s=1)
    assert child.stop() is not None

    async def story() -> None:
        killer = _killer(child, KILL)
        await killer.reached("fault-1")
        await killer.finish()

    with pytest.raises(KillMissed, match="ended by itself"):
        asyncio.run(story())
