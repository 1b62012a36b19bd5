"""The class rules as columns give what the rules give customer by customer; percentile borders at their edges."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.portrait.reference_data import shipped
from services.portrait.rules.class_population import Population, freeze_borders, memberships, target_scores
from services.portrait.rules.classes import CLASS_NAMES, CustomerFacts, class_rules_from, classify
from services.portrait.rules.measured import Measured
from services.portrait.rules.portrait_indicators import INDICATORS

RULES = class_rules_from(shipped("class_rules_demo"))
AT_THE_BORDERS = (0.0, 0.1, 0.2, 2.0, 80.0, 60_000.0, 80_000.0, 79_999.99, 0.0999, 1e-9)
value = st.one_of(st.none(), st.sampled_from(AT_THE_BORDERS), st.floats(0, 1e6))


@st.composite
def customers(draw: st.DrawFn) -> CustomerFacts:
    given_ = {code: draw(value) for code in INDICATORS}
    given_["violation_index"] = given_["violation_index"] or 0.0  # always has a value
    return CustomerFacts(
        indicators={c: Measured.missing("no-data") if v is None else Measured(v) for c, v in given_.items()},
        dual_supply=draw(st.booleans()),
        capacity_application_within_12_months=draw(st.booleans()),
        avg_monthly_bill_yuan=draw(value),
    )


def as_columns(many: list[CustomerFacts]) -> Population:
    codes = {code: [m.indicators[code].value for m in many] for code in INDICATORS}
    codes["avg_monthly_bill_yuan"] = [m.avg_monthly_bill_yuan for m in many]
    return Population(
        columns={code: np.array(values, dtype=float) for code, values in codes.items()},
        dual_supply=np.array([m.dual_supply for m in many], dtype=bool),
        capacity_application=np.array([m.capacity_application_within_12_months for m in many], dtype=bool),
    )


@given(st.lists(customers(), min_size=1, max_size=30))
def test_columns_and_single_customers_are_classified_alike(many: list[CustomerFacts]) -> None:
    together = memberships(population=as_columns(many), rules=RULES)
    for i, one in enumerate(many):
        assert {name for name in CLASS_NAMES if together[name][i]} == classify(facts=one, rules=RULES).classes


def population(**columns: list[float]) -> Population:
    size = len(next(iter(columns.values())))
    names = (*INDICATORS, "avg_monthly_bill_yuan")
    return Population(
        columns={n: np.array(columns.get(n, [np.nan] * size), dtype=float) for n in names},
        dual_supply=np.zeros(size, dtype=bool),
        capacity_application=np.zeros(size, dtype=bool),
    )


def test_the_border_is_a_value_that_occurs_and_at_most_the_top_share_lies_above_it() -> None:
    energies = [float(n) for n in range(1, 11)]
    frozen = freeze_borders(population=population(avg_monthly_kwh=energies), top_share=0.2)
    border = frozen.thresholds["contribution_kwh_at_least"]
    assert border in energies
    assert sum(e > border for e in energies) <= 2


def test_a_border_of_zero_would_make_everybody_high_and_is_left_out() -> None:
    frozen = freeze_borders(population=population(complaint_rate=[0.0] * 9 + [0.5]), top_share=0.2)
    assert "complaint_rate_at_least" not in frozen.thresholds
    assert frozen.population["complaint_rate"][0] == pytest.approx(0.05)


def test_customers_without_a_value_move_neither_border_nor_mean() -> None:
    known = population(monthly_service_rate=[1.0, 2.0, 3.0])
    gaps = population(monthly_service_rate=[1.0, np.nan, 2.0, 3.0, np.nan])
    a, b = freeze_borders(population=known, top_share=0.2), freeze_borders(population=gaps, top_share=0.2)
    assert (a.thresholds, a.population) == (b.thresholds, b.population)
    assert (a.customers, b.customers) == (3, 5)


def test_a_complaint_lowers_the_target_score_and_a_missing_value_counts_as_the_mean() -> None:
    weights = shipped("class_rules_demo")["targets"]["weights"]
    few, many, unknown = target_scores(
        population=population(complaint_rate=[0.0, 0.5, np.nan]), rules=RULES, weights=weights
    )
    assert few > unknown > many
    assert unknown == 0
