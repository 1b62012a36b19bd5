"""kill -9 of any service in the middle of the demo changes neither what the house holds nor what people were told."""

from pathlib import Path

import pytest

from tests.e2e.demo import Run, differences, run_demo

SERVICES = ("inspection", "outage", "portrait", "notify")
SEED = 20260112
KEYS = {
    "broker", "readings_published", "readings_stored", "duplicates_ignored", "customers_scored", "reclassified",
    "hazards_opened", "hazards_closed", "messages_delivered", "duplicate_messages", "dead_letters",
    "fault_to_message_ms_p99", "hazard_to_message_ms_p99", "seconds",
}  # fmt: skip


@pytest.fixture(scope="module")
def fault_free(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return run_demo(tmp_path_factory.mktemp("fault-free"), seed=SEED)


def test_the_demo_ends_with_figures_that_agree_with_each_other(fault_free: Run) -> None:
    found = fault_free.figures
    assert set(found) == KEYS
    assert found["readings_published"] > found["readings_stored"] > 280_000
    assert found["duplicates_ignored"] > 9_600
    assert (found["customers_scored"], found["hazards_opened"], found["hazards_closed"]) == (6, 7, 1)
    assert (found["duplicate_messages"], found["dead_letters"]) == (0, 0)
    assert found["messages_delivered"] == len(fault_free.messages.splitlines())


def test_all_four_killed_in_one_run_end_in_the_same_dump_and_messages(fault_free: Run, tmp_path: Path) -> None:
    _same_after_kills(fault_free, tmp_path, kill=SERVICES, kill_seed=SEED)


@pytest.mark.long
@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("kill_seed", range(1, 6))
def test_each_killed_at_several_moments(fault_free: Run, tmp_path: Path, service: str, kill_seed: int) -> None:
    _same_after_kills(fault_free, tmp_path, kill=(service,), kill_seed=kill_seed)


def _same_after_kills(fault_free: Run, folder: Path, *, kill: tuple[str, ...], kill_seed: int) -> None:
    killed = run_demo(folder, seed=SEED, kill=kill, kill_seed=kill_seed)
    done = [line for line in killed.told.splitlines() if line.lstrip().startswith("kill -9:")]
    print("\n".join(done))
    assert len(done) == len(kill)
    assert not differences(fault_free.messages, killed.messages), differences(fault_free.messages, killed.messages)
    assert not differences(fault_free.tables, killed.tables), differences(fault_free.tables, killed.tables)
