"""Each event moves its customer at once; the end is what a full computation over all facts gives, in any order."""

import asyncio
import json
import random
from datetime import date
from decimal import Decimal
from itertools import count

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from msgspec import structs

from services.contracts.envelope import Event
from services.kernel.broker import Record
from services.kernel.clock import ManualClock
from services.kernel.consumer import Applier, Releaser
from services.kernel.work import EVERYTHING, Actor, Cause
from services.portrait.customers.happenings import reassess_all
from services.portrait.manifest import SERVICE
from tests.integration.portrait.house import Portrait
from tests.integration.portrait.lives import AS_OF, Life, Outcome, events_of, expected, lives
from tests.integration.portrait.sayings import agreement, archive

STREAMS_PER_EXAMPLE = 10
SEED = 20260630


@pytest.mark.parametrize("examples", [10, pytest.param(200, marks=[pytest.mark.long, pytest.mark.timeout(3600)])])
async def test_any_order_repetition_and_delay_of_a_stream_ends_in_the_full_computation(
    portrait: Portrait, examples: int
) -> None:
    """Streams of ten customers an example: 100 in each run of the tests, 2,000 in the long run."""
    portrait.database.clock = ManualClock(now=AS_OF)
    number = count(1)
    streams = st.lists(
        st.tuples(lives, st.integers(0, 2**32)),
        min_size=STREAMS_PER_EXAMPLE,
        max_size=STREAMS_PER_EXAMPLE,
    )
    loop = asyncio.get_running_loop()

    @seed(SEED)
    # Shrinking would run the database for many minutes; ten short lives can be read as they are.
    @settings(
        phases=[Phase.generate],
        max_examples=examples,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(streams)
    def tried(drawn: list[tuple[Life, int]]) -> None:
        given_ = {f"{next(number)}": pair for pair in drawn}
        asyncio.run_coroutine_threadsafe(_one_example(portrait, given_), loop).result()

    print(f"seed {SEED}, {examples * STREAMS_PER_EXAMPLE} streams")
    await asyncio.to_thread(tried)


async def _one_example(portrait: Portrait, given_: dict[str, tuple[Life, int]]) -> None:
    records: list[Record] = []
    for number, (life, shuffled_by) in given_.items():
        chance = random.Random(shuffled_by)
        terms = (agreement(date(2015, 1, 1), grade=life.grade),)
        said: list[Event] = [archive(f"C-{number}", terms=terms), *events_of(life, number)]
        once = [_record(portrait, event) for event in said]
        stream = once + chance.choices(once, k=len(once) // 3)
        chance.shuffle(stream)
        records += stream
    applier = Applier(service=SERVICE, database=portrait.database)
    for record in records:
        assert await applier.apply(record) in {"applied", "duplicate", "waiting", "outdated"}
    while await Releaser(applier=applier).turn():
        pass
    found = await _profiles(portrait, given_)
    assert {n: outcome for n, (_, outcome) in found.items()} == {n: expected(life) for n, (life, _) in given_.items()}
    await _recompute(portrait, [f"C-{n}" for n in given_])
    assert await _profiles(portrait, given_) == found


def _record(portrait: Portrait, event: Event) -> Record:
    record = portrait.record(event)
    return structs.replace(record, headers={**record.headers, "ce_time": AS_OF.isoformat()})


async def _profiles(portrait: Portrait, given_: dict[str, tuple[Life, int]]) -> dict[str, tuple[int, Outcome]]:
    """Version and outcome by customer: the version shows that a full computation published nothing new."""
    ids = ", ".join(f"'C-{n}'" for n in given_)
    rows = await portrait.rows(f"SELECT customer_id, version, body FROM portrait.profile WHERE customer_id IN ({ids})")
    result = {}
    for row in rows:
        body = json.loads(row["body"])
        outcome = Outcome(
            frozenset(body["classes"]),
            body["attention_level"],
            frozenset(body["attention_reasons"]),
            Decimal(body["cycle_factor"]),
        )
        result[row["customer_id"].removeprefix("C-")] = (row["version"], outcome)
    return result


async def _recompute(portrait: Portrait, customer_ids: list[str]) -> None:
    """What the nightly job does."""
    cause, actor = Cause(id="full", source="tests", type="full"), Actor(person_id="system:portrait")
    async with portrait.database.work(role="worker", cause=cause, actor=actor, scope=EVERYTHING) as work:
        await reassess_all(work, customer_ids=customer_ids)
