"""The maintained facts of a month equal what the rules make of the curves, whatever changed in between."""

from datetime import date, timedelta
from typing import Any

import numpy as np

from services.contracts import marketing
from services.kernel.work import EVERYTHING, Actor, Cause
from services.portrait.metering.curves import month_totals, read_curves, sum_of_curves
from services.portrait.rules import load_indicators as rules
from services.portrait.rules.day_block import MISSING
from services.portrait.rules.month_facts import decode
from services.portrait.scoring.month_facts import refresh
from tests.integration.portrait.house import Portrait, numbers
from tests.integration.portrait.population import LAGGING, curve_batch, shape, store
from tests.integration.portrait.sayings import agreement, archive

MONTH, AFTER = date(2026, 3, 1), date(2026, 4, 1)


async def facts_of(portrait: Portrait, customer_id: str) -> tuple[int, Any]:
    """How many months were stale, and the record of MONTH."""
    cause = Cause(id=f"facts-{next(numbers)}", source="tests", type="facts")
    actor = Actor(person_id="system:portrait")
    async with portrait.database.work(role="worker", cause=cause, actor=actor, scope=EVERYTHING) as work:
        stale = await refresh(await work.raw(), after_id="", up_to_id=None, from_month=MONTH, to_month=AFTER)
    rows = await portrait.rows(
        f"SELECT facts FROM portrait.month_facts WHERE customer_id = '{customer_id}' AND month = '{MONTH}'"
    )
    stored = bytes(rows[0]["facts"]) if rows else b""
    return stale, decode([stored])[0] if stored else None


async def same_as_rules(portrait: Portrait, points: list[str], facts: Any) -> None:
    cause = Cause(id=f"curves-{next(numbers)}", source="tests", type="curves")
    actor = Actor(person_id="system:portrait")
    async with portrait.database.work(role="worker", cause=cause, actor=actor, scope=EVERYTHING) as work:
        raw = await work.raw()
        curves = await read_curves(raw, usage_point_ids=points, channel=1, from_day=MONTH, to_day=AFTER)
        totals = await month_totals(raw, usage_point_ids=points, channels=[1, 3, 4], from_day=MONTH, to_day=AFTER)
    whole = sum_of_curves(curves=[curves[point] for point in points])
    slots, days = 1440 // whole.step_minutes, len(whole.energy_wh)
    present = whole.present
    assert (facts["step_minutes"], facts["days"]) == (whole.step_minutes, days)
    assert facts["present"] == present.sum()
    assert facts["total_wh"] == whole.total_wh
    assert facts["maximum_wh"] * 60 / whole.step_minutes / 1000 == whole.maximum_demand_kw
    assert facts["day_total"][:days].tolist() == [int(d[d != MISSING].sum()) for d in whole.energy_wh]
    assert facts["day_present"][:days].tolist() == present.sum(axis=1).tolist()
    assert facts["profile"][:slots].tolist() == np.where(present, whole.energy_wh, 0).sum(axis=0).tolist()
    days_whole = [d for d in whole.energy_wh if (d != MISSING).all()]
    rate = rules.peak_valley_difference_rate(curve=whole).value
    extremes = [(d.max() - d.min()) / d.max() for d in days_whole]
    assert rate is None or abs(rate - sum(extremes) / len(extremes)) < 1e-12
    for channel, name in ((1, "energy_wh"), (3, "lagging_varh"), (4, "leading_varh")):
        assert facts[name] == sum(x.total for x in totals if x.channel == channel)
    assert facts["reactive"] == any(x.channel != 1 for x in totals)


def with_second_point(customer: marketing.CustomerChanged, *, version: int) -> marketing.CustomerChanged:
    (first,) = customer.usage_points
    second = first.model_copy(update={"usage_point_id": f"{first.usage_point_id}-B"})
    return customer.model_copy(update={"usage_points": (first, second), "version": version})


async def test_facts_follow_curves_corrections_gaps_and_a_second_point(portrait: Portrait) -> None:
    rng = np.random.default_rng(20_260_112)
    curve = shape(rng, days=31)
    await store(portrait, [curve_batch("UP-1", first=MONTH, energy_wh=curve)])  # before its customer is known
    assert await facts_of(portrait, "C-1") == (0, None)
    await portrait.hear(archive("C-1"), archive("C-2"))
    stale, facts = await facts_of(portrait, "C-1")
    assert stale == 1
    await same_as_rules(portrait, ["UP-1"], facts)
    assert (await facts_of(portrait, "C-1"))[0] == 0
    await store(portrait, [curve_batch("UP-1", first=MONTH, energy_wh=curve)])  # a repetition changes nothing
    assert (await facts_of(portrait, "C-1"))[0] == 0
    late = np.full((1, 24), MISSING, np.int64)
    late[0, 5] = 999_000
    await store(portrait, [curve_batch("UP-1", first=MONTH, energy_wh=late, revision=1)])
    stale, facts = await facts_of(portrait, "C-1")
    assert (stale, facts["maximum_wh"]) == (1, max(999_000, curve.max()))
    await same_as_rules(portrait, ["UP-1"], facts)
    await store(portrait, [curve_batch("UP-1", first=MONTH, energy_wh=curve // 3, channel=LAGGING)])
    assert (await facts_of(portrait, "C-1"))[1]["reactive"] == 1
    # A second usage point: the sum is incomplete until it has data, and then has the longer step.
    await portrait.hear(with_second_point(archive("C-1"), version=2))
    stale, facts = await facts_of(portrait, "C-1")
    assert (stale, facts["present"]) == (1, 0)
    second = shape(rng, days=31, slots=96)
    await store(portrait, [curve_batch("UP-1-B", first=MONTH, energy_wh=second, step=15)])
    stale, facts = await facts_of(portrait, "C-1")
    assert (stale, facts["step_minutes"]) == (1, 60)
    await same_as_rules(portrait, ["UP-1", "UP-1-B"], facts)


async def test_a_takeover_within_the_month_gives_each_holder_its_own_days(portrait: Portrait) -> None:
    turn = date(2026, 3, 11)
    curve = np.full((31, 24), 1000, np.int64)
    await store(portrait, [curve_batch("UP-1", first=MONTH, energy_wh=curve)])
    former = archive("C-1", terms=(agreement(date(2015, 1, 1), turn),))
    own = archive("C-2").model_copy(update={"usage_points": ()})
    taken = former.accounts[0].model_copy(update={"terms": (agreement(turn),)})
    successor = own.model_copy(
        update={
            "accounts": (*own.accounts, taken),
            "sites": (*own.sites, *former.sites),
            "usage_points": former.usage_points,
            "successions": (marketing.Succession(kind="transfer", other_customer_id="C-1", effective_on=turn),),
        }
    )
    await portrait.hear(archive("C-1"))
    assert (await facts_of(portrait, "C-1"))[1]["total_wh"] == 31 * 24_000
    await portrait.hear(former.model_copy(update={"version": 2}), successor)
    before, after = (await facts_of(portrait, "C-1"))[1], (await facts_of(portrait, "C-2"))[1]
    assert (before["total_wh"], after["total_wh"]) == (10 * 24_000, 21 * 24_000)
    assert before["day_present"][:31].tolist() == [24] * 10 + [0] * 21
    assert (before["expected_minutes"], after["expected_minutes"]) == (10 * 1440, 21 * 1440)
    assert timedelta(days=10) == turn - MONTH
