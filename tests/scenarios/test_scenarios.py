"""Every folder beside this file is a scenario; all run in one house, each with ids of its own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.conftest import Stack
from tests.scenarios import rules
from tests.scenarios.house import ScenarioHouse, open_house
from tests.scenarios.language import SCENARIOS, Words, load
from tests.scenarios.run import Run


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ScenarioHouse]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        async with open_house(stack, tmp_path_factory.mktemp("scenarios"), monkeypatch) as opened:
            yield opened


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("folder", SCENARIOS, ids=lambda folder: folder.name)
async def test_scenario(house: ScenarioHouse, folder: Path) -> None:
    words = Words(own=f"S{SCENARIOS.index(folder):02}", kept={})
    await Run(house=house, scenario=load(folder), words=words, begun_at=len(house.said)).play()


def test_every_named_rule_has_a_scenario_and_every_scenario_shows_a_rule() -> None:
    assert rules.faults() == []
    assert all(load(folder).rules for folder in SCENARIOS)


def test_a_rule_without_a_scenario_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "services").mkdir()
    (tmp_path / "services" / "law.py").write_text('"""A law.\n\nRule new-law: 新规则。A new rule.\n"""\n')
    found = rules.declared(tmp_path / "services")
    assert found["new-law"].place == "services/law.py"
    monkeypatch.setattr(rules, "declared", lambda: found)
    assert any(fault.startswith("services/law.py: rule new-law has no scenario") for fault in rules.faults())
