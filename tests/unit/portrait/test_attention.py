"""What an event changes: attention level, inspection cycle, outage planning and service contact."""

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.portrait.reference_data import shipped
from services.portrait.rules.attention import (
    Attention,
    AttentionInputs,
    FaultOutage,
    OpenHazard,
    attention,
    attention_rules_from,
    outage_priority,
    planned_quota_of,
)

AS_OF = date(2026, 6, 30)
RULES = attention_rules_from(shipped("class_rules_demo"))
CRITICAL, SERIOUS, GENERAL = (
    OpenHazard(severity="critical"),
    OpenHazard(severity="serious"),
    OpenHazard(severity="general"),
)
LATE = OpenHazard(severity="general", overdue=True)


def seen(**inputs: object) -> Attention:
    return attention(inputs=AttentionInputs(**inputs), as_of=AS_OF, rules=RULES)  # type: ignore[arg-type]


def test_without_any_event_a_customer_is_calm_and_keeps_its_cycle() -> None:
    calm = seen()
    assert (calm.level, calm.cycle_factor, calm.inspection_due, calm.tell_manager) == (0, 1.0, None, False)


@pytest.mark.parametrize(
    ("hazards", "level", "factor", "due"),
    [
        ([CRITICAL], 3, 0.0, "at-once"),
        ([SERIOUS], 2, 0.5, "within-30-days"),
        ([GENERAL], 0, 1.0, None),
        ([LATE], 1, 0.75, None),
        ([SERIOUS, SERIOUS], 2, 0.5, "within-30-days"),
        ([SERIOUS, LATE], 3, 0.0, "within-30-days"),
        ([CRITICAL, SERIOUS, LATE], 3, 0.0, "at-once"),
    ],
)
def test_the_highest_open_hazard_counts_once_and_an_overdue_one_adds(
    hazards: list[OpenHazard], level: int, factor: float, due: str | None
) -> None:
    found = seen(hazards=hazards)
    assert (found.level, found.cycle_factor, found.inspection_due) == (level, factor, due)


@pytest.mark.parametrize(
    ("outages", "raised"),
    [
        ([(AS_OF, 0.5), (date(2026, 5, 1), 0.5)], True),
        ([(AS_OF, 0.5), (date(2026, 4, 30), 0.5)], False),
        ([(AS_OF, 4.0)], True),
        ([(AS_OF, 3.99)], False),
    ],
)
def test_two_faults_or_four_hours_within_60_days_raise_attention_and_guard_the_feeder(
    outages: list[tuple[date, float]], raised: bool
) -> None:
    found = seen(fault_outages=[FaultOutage(day=day, hours=hours) for day, hours in outages])
    assert (found.level, found.planned_outage_needs_approval) == (int(raised), raised)


def test_planned_outages_at_the_quota_of_the_calendar_year_raise_attention() -> None:
    days = [date(2026, 1, 5), date(2026, 3, 5), date(2025, 12, 5)]
    assert seen(planned_outages=days, planned_quota=2).reasons == ("outage:planned-quota",)
    assert seen(planned_outages=days, planned_quota=3).level == 0
    assert seen(planned_outages=days, planned_quota=None).level == 0


def test_a_complaint_raises_service_contact_and_never_the_inspection_cycle() -> None:
    for base in (AttentionInputs(), AttentionInputs(hazards=[SERIOUS]), AttentionInputs(high_reliability=True)):
        quiet = attention(inputs=base, as_of=AS_OF, rules=RULES)
        loud = attention(inputs=replace(base, complaints=[AS_OF] * 5), as_of=AS_OF, rules=RULES)
        assert (loud.extra_service_visits, loud.tell_manager) == (1, True)
        assert (loud.level, loud.cycle_factor, loud.inspection_due) == (
            quiet.level,
            quiet.cycle_factor,
            quiet.inspection_due,
        )


@pytest.mark.parametrize(("day", "visits"), [(date(2026, 4, 1), 1), (date(2026, 3, 31), 0)])
def test_a_complaint_is_remembered_for_90_days(day: date, visits: int) -> None:
    assert seen(complaints=[day]).extra_service_visits == visits


@pytest.mark.parametrize(("kv", "quota"), [(110.0, 1), (35.0, 1), (34.9, 3), (10.0, 3), (9.9, None)])
def test_the_yearly_quota_of_planned_outages_depends_on_the_voltage(kv: float, quota: int | None) -> None:
    assert planned_quota_of(voltage_kv=kv, quotas=[(10.0, 3), (35.0, 1)]) == quota


@pytest.mark.parametrize(
    ("before", "now", "proposed"),
    [("A", "B", True), ("B", "A", False), ("C", "C", False), (None, "D", True), ("E", "E", True), (None, None, False)],
)
def test_a_falling_or_low_band_proposes_advice(before: str | None, now: str | None, proposed: bool) -> None:
    found = seen(previous_band=before, band=now)
    assert (found.advice_proposed, found.tell_manager, found.level) == (proposed, proposed, 0)


@pytest.mark.parametrize(("hazards", "factor"), [([], 0.5), ([LATE], 0.5), ([SERIOUS], 0.5), ([CRITICAL], 0.0)])
def test_the_smallest_cycle_factor_applies_to_a_high_reliability_customer(
    hazards: list[OpenHazard], factor: float
) -> None:
    assert seen(hazards=hazards, high_reliability=True).cycle_factor == factor


hazards = st.builds(OpenHazard, severity=st.sampled_from(["critical", "serious", "general"]), overdue=st.booleans())
outages = st.builds(FaultOutage, day=st.dates(date(2026, 1, 1), AS_OF), hours=st.integers(0, 20).map(lambda n: n / 4))


@given(st.lists(hazards, max_size=6), st.lists(outages, max_size=6), st.randoms(use_true_random=False))
def test_the_order_of_events_does_not_matter_and_the_level_stays_within_its_scale(
    some_hazards: list[OpenHazard], some_outages: list[FaultOutage], rng: object
) -> None:
    found = seen(hazards=some_hazards, fault_outages=some_outages, planned_outages=[AS_OF], planned_quota=1)
    rng.shuffle(some_hazards)  # type: ignore[attr-defined]
    rng.shuffle(some_outages)  # type: ignore[attr-defined]
    assert seen(hazards=some_hazards, fault_outages=some_outages, planned_outages=[AS_OF], planned_quota=1) == found
    assert 1 <= found.level <= 3
    assert found.cycle_factor <= 1


def test_outage_priority_follows_importance_then_reliability_then_attention_then_load() -> None:
    ranked = [
        outage_priority(importance_rank=1, high_reliability=False, attention_level=0, load_kw=1),
        outage_priority(importance_rank=2, high_reliability=True, attention_level=0, load_kw=1),
        outage_priority(importance_rank=2, high_reliability=False, attention_level=3, load_kw=1),
        outage_priority(importance_rank=2, high_reliability=False, attention_level=1, load_kw=900),
        outage_priority(importance_rank=2, high_reliability=False, attention_level=1, load_kw=800),
    ]
    assert sorted(ranked) == ranked
