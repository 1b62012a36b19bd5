"""The demo from outside: its figures, staying up, a second start; and kill -9 of any service changes nothing of it."""

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from deploy.local.house import environment_file
from tests.e2e.demo import PROJECT, Run, Staying, arguments, differences, run_demo, run_of

SERVICES = ("inspection", "outage", "portrait", "notify")
SEED = 20260112
KEYS = {
    "broker", "readings_published", "readings_stored", "duplicates_ignored", "customers_scored", "reclassified",
    "hazards_opened", "hazards_closed", "messages_delivered", "duplicate_messages", "dead_letters",
    "fault_to_message_ms_p99", "hazard_to_message_ms_p99", "seconds",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class FaultFree:
    """A run without kills, and what became of the house that stayed up behind it."""

    run: Run
    pages: dict[str, int]
    beside: tuple[int, list[int]]
    compared: dict[str, tuple[int, dict[str, Any]]]
    end: tuple[int, list[int]]
    again: str
    shown_again: int
    second_end: tuple[int, list[int]]


@pytest.fixture(scope="module")
def fault_free(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultFree]:
    folder = tmp_path_factory.mktemp("fault-free")
    argv = [*arguments(folder, seed=SEED), "--stay"]
    first, second = Staying(argv=argv, log=folder / "first.log"), None
    try:
        told = first.wait_for("Ctrl-C")
        pages = {line.split()[0]: _status(line.split()[1]) for line in told.splitlines() if "/docs" in line}
        beside = _one_more(folder)
        with ThreadPoolExecutor() as pool:
            compared = dict(zip(SERVICES, pool.map(lambda name: _reconcile(folder, name), SERVICES), strict=True))
        end = first.interrupt()
        second = Staying(argv=argv, log=folder / "second.log")
        again = second.wait_for("Ctrl-C")
        shown = len(_messages(again))
        yield FaultFree(
            run=run_of(folder, told), pages=pages, beside=beside, compared=compared, end=end, again=again,
            shown_again=shown, second_end=second.interrupt(),
        )  # fmt: skip
    finally:
        first.close()
        if second is not None:
            second.close()


def _one_more(folder: Path) -> tuple[int, list[int]]:
    """Another process of outage against the house that runs, until it is ready."""
    argv = [sys.executable, "-m", "deploy.local.service", "outage", "--folder", str(folder / "house")]
    beside = Staying(argv=argv, log=folder / "beside.log")
    try:
        told = beside.wait_for("Application startup complete")
        ready = next(w.rstrip(",;") for w in told.split() if "/readyz" in w)
        beside.wait_until_answers(ready)
        return beside.interrupt()
    finally:
        beside.close()


def _reconcile(folder: Path, service: str) -> tuple[int, dict[str, Any]]:
    """Exit status and sum of a comparison of the running service's schema with all that the topics hold."""
    lines = environment_file(folder / "house", service).read_text().splitlines()
    since = datetime.now(UTC) - timedelta(hours=1)
    done = subprocess.run(
        [sys.executable, "-m", f"services.{service}", "reconcile", "--since", since.isoformat()],
        env={**os.environ, **dict(line.split("=", 1) for line in lines)},
        cwd=PROJECT, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.stdout, done.stderr
    print("\n".join(done.stdout.splitlines()[-5:]))
    return done.returncode, json.loads(done.stdout.splitlines()[-1])


def _status(url: str) -> int:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return int(answer.status)


def _messages(told: str) -> list[object]:
    phone = next(word for word in told.split() if word.endswith("/sandbox/phone"))
    with urllib.request.urlopen(phone.replace("phone", "messages"), timeout=10) as answer:
        return list(json.load(answer)["messages"])


def test_the_demo_ends_with_figures_that_agree_with_each_other(fault_free: FaultFree) -> None:
    found = fault_free.run.figures
    assert set(found) == KEYS
    assert found["readings_published"] > found["readings_stored"] > 280_000
    assert found["duplicates_ignored"] > 9_600
    assert (found["customers_scored"], found["hazards_opened"], found["hazards_closed"]) == (6, 7, 1)
    assert (found["duplicate_messages"], found["dead_letters"]) == (0, 0)
    assert found["messages_delivered"] == len(fault_free.run.messages.splitlines())
    assert 0 < found["fault_to_message_ms_p99"] < found["seconds"] * 1000


def test_the_house_stays_up_takes_another_process_and_is_ended_by_ctrl_c(fault_free: FaultFree) -> None:
    assert fault_free.pages == dict.fromkeys(SERVICES, 200)
    assert fault_free.beside == (0, [])
    assert fault_free.end == (0, [])


@pytest.mark.parametrize("service", SERVICES)
def test_what_a_service_has_heard_and_said_is_what_the_topics_hold(fault_free: FaultFree, service: str) -> None:
    status, total = fault_free.compared[service]
    assert (status, set(total.values())) == (0, {0}), total


def test_a_second_start_keeps_the_data_and_tells_nothing_anew(fault_free: FaultFree) -> None:
    assert "一、" not in fault_free.again
    assert fault_free.shown_again == fault_free.run.figures["messages_delivered"]
    assert fault_free.second_end == (0, [])


def test_all_four_killed_in_one_run_end_in_the_same_dump_and_messages(fault_free: FaultFree, tmp_path: Path) -> None:
    _same_after_kills(fault_free.run, tmp_path, kill=SERVICES, kill_seed=SEED)


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("kill_seed", range(1, 6))
def test_each_killed_at_several_moments(fault_free: FaultFree, tmp_path: Path, service: str, kill_seed: int) -> None:
    _same_after_kills(fault_free.run, tmp_path, kill=(service,), kill_seed=kill_seed)


def _same_after_kills(fault_free: Run, folder: Path, *, kill: tuple[str, ...], kill_seed: int) -> None:
    killed = run_demo(folder, seed=SEED, kill=kill, kill_seed=kill_seed)
    done = [line for line in killed.told.splitlines() if line.lstrip().startswith("kill -9:")]
    print("\n".join(done))
    assert len(done) == len(kill)
    assert not differences(fault_free.messages, killed.messages), differences(fault_free.messages, killed.messages)
    assert not differences(fault_free.tables, killed.tables), differences(fault_free.tables, killed.tables)
