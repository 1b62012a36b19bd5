"""kill -9 in the send path: nobody is forgotten, and nobody is told twice by a provider whose answer came."""

import asyncio
import json
from collections import Counter
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from deploy.local.postgres import PostgresServer
from services.kernel.settings import KernelSettings
from services.notify.channel_settings import channel_settings
from tests.integration.notify.house import open_house
from tests.integration.notify.kills import POINTS, Lives
from tests.integration.notify.sending import people

PEOPLE = tuple(f"K-{n}" for n in range(20))
SEED = 20261124
RESULT = Path(__file__).parent / "kills.json"
"""The last long run: seed, deaths at each point, what was counted."""


async def _prepare(postgres: PostgresServer, folder: Path) -> KernelSettings:
    async with open_house(postgres, folder) as house:
        await people(house, *PEOPLE)
        return house.settings


async def _rows(postgres: PostgresServer, settings: KernelSettings, sql: str) -> list[Any]:
    connection = await asyncpg.connect(f"{postgres.superuser_dsn.rsplit('/', 1)[0]}/{settings.database_name}")
    try:
        return list(await connection.fetch(sql))
    finally:
        await connection.close()


@pytest.mark.parametrize("deaths", [30, pytest.param(1000, marks=[pytest.mark.long, pytest.mark.timeout(3600)])])
def test_after_any_number_of_deaths_nobody_is_forgotten_and_nobody_told_twice(
    postgres: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, deaths: int
) -> None:
    monkeypatch.setenv("KEYLINE_SMS_GATEWAY_URL", "http://127.0.0.1:1")
    channel_settings.cache_clear()
    settings = asyncio.run(_prepare(postgres, tmp_path))
    lives = Lives(
        settings=settings, folder=tmp_path, people=PEOPLE, seed=SEED, planned=deaths, deaths=Counter()
    )  # fmt: skip
    print("seed", SEED)
    lives.live()
    errors = tmp_path / "errors.txt"
    assert not errors.exists(), errors.read_text()

    def rows(sql: str) -> list[Any]:
        return asyncio.run(_rows(postgres, settings, sql))

    ends = "('delivered', 'acknowledged', 'failed', 'suppressed')"
    orphans = rows(f"SELECT happening, person_id, channel, state FROM notify.delivery WHERE state NOT IN {ends}")
    assert orphans == []
    assert rows(
        "SELECT happening, person_id FROM notify.delivery GROUP BY 1, 2"
        " HAVING count(*) FILTER (WHERE state = 'delivered') = 0"
    ) == [], "somebody was told on no channel"  # fmt: skip
    told = rows("SELECT count(*) FROM (SELECT DISTINCT happening, person_id FROM notify.delivery) t")[0][0]
    wechat, sms = (Counter(line["delivery"] for line in lives.journal(n).lines()) for n in ("wechat", "sms"))
    assert max(sms.values()) == 1, "a provider without memory got a message twice"
    doubtful = {str(r["delivery_id"]) for r in rows(
        "SELECT DISTINCT delivery_id FROM notify.attempt WHERE outcome IN ('lost', 'ambiguous')"
    )}  # fmt: skip
    repeated = {delivery for delivery, count in wechat.items() if count > 1}
    assert repeated <= doubtful, "repeated although the answer was known"
    assert all(len({x["id"] for x in lives.journal("wechat").lines() if x["delivery"] == d}) == 1 for d in repeated)
    assert set(lives.deaths) == set(POINTS) or deaths < 100, "a planned point was never reached"
    result = {
        "seed": SEED, "deaths": dict(sorted(lives.deaths.items())), "told": told, "orphans": 0, "shown_twice": 0,
        "repeated_under_the_same_id": len(repeated), "doubtful_attempts": len(doubtful),
        "text_messages": sum(sms.values()),
    }  # fmt: skip
    print(json.dumps(result))
    if deaths >= 1000:
        RESULT.write_text(json.dumps(result, indent=2) + "\n")
