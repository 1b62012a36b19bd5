"""The monthly efficiency score by threshold functions and weights."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.portrait.reference_data import shipped
from services.portrait.rules.efficiency_score import (
    Loss,
    ScoredIndicator,
    ScoreScheme,
    band_of,
    efficiency_score,
    sub_score,
)
from services.portrait.rules.measured import Measured
from services.portrait.rules.month_indicators import SCORED
from services.portrait.rules.score_schemes import scheme_document_from
from services.portrait.rules.shift_pattern import Shift

WHOLE = Measured(1.0)
DEMO = scheme_document_from(shipped("score_scheme_demo"))
TWO = ScoreScheme(
    version="t",
    industries=("",),
    shift="two",
    indicators=(
        ScoredIndicator(code="a", weight=3, points=((0, 0), (1, 100))),
        ScoredIndicator(code="b", weight=1, points=((0, 100), (2, 0))),
    ),
    minimum_completeness=0.95,
    minimum_weight=0.6,
)


@pytest.mark.parametrize(("value", "expected"), [(-1, 10), (0, 10), (1, 30), (2, 50), (3, 75), (4, 100), (99, 100)])
def test_a_sub_score_is_linear_between_points_and_flat_beyond(value: float, expected: float) -> None:
    assert sub_score(value=value, points=((0, 10), (2, 50), (4, 100))) == expected


@pytest.mark.parametrize(
    ("score", "band"),
    [(100, "A"), (90, "A"), (89.99, "B"), (80, "B"), (79.99, "C"), (70, "C"), (60, "D"), (59.99, "E"), (0, "E")],
)
def test_bands_include_their_lower_border(score: float, band: str) -> None:
    assert band_of(score=score) == band


def test_the_score_is_the_weighted_mean_of_the_sub_scores() -> None:
    result = efficiency_score(values={"a": Measured(0.8), "b": Measured(1)}, completeness=WHOLE, scheme=TWO)
    assert (result.score, result.band) == (72.5, "C")
    assert result.sub_scores == {"a": 80, "b": 50}


def test_losses_add_up_to_what_is_missing_from_100_and_the_largest_comes_first() -> None:
    result = efficiency_score(values={"a": Measured(0.8), "b": Measured(1)}, completeness=WHOLE, scheme=TWO)
    assert result.largest_losses == (Loss(code="a", points=15), Loss(code="b", points=12.5))


def test_an_indicator_without_a_value_is_left_out_with_its_reason() -> None:
    missing = Measured.missing("no-contract-demand")
    result = efficiency_score(values={"a": Measured(0.8), "b": missing}, completeness=WHOLE, scheme=TWO)
    assert result.score == 80
    assert result.left_out == {"b": "no-contract-demand"}


def test_too_little_weight_is_not_scored() -> None:
    missing = Measured.missing("no-data")
    result = efficiency_score(values={"a": missing, "b": Measured(1)}, completeness=WHOLE, scheme=TWO)
    assert (result.score, result.band, result.not_scored_because) == (None, None, "too-few-indicators")


@pytest.mark.parametrize(("share", "scored"), [(0.95, True), (0.9499, False)])
def test_below_95_percent_of_the_data_there_is_no_score(share: float, scored: bool) -> None:
    values = {"a": Measured(0.8), "b": Measured(1)}
    result = efficiency_score(values=values, completeness=Measured(share), scheme=TWO)
    assert (result.score is not None) is scored
    assert result.not_scored_because == (None if scored else "incomplete-data")


def test_a_weight_of_zero_and_falling_values_are_refused() -> None:
    document = shipped("score_scheme_demo")
    document["thresholds"]["valley_share"] = [[1, 0], [1, 5]]
    with pytest.raises(ValueError, match="valley_share"):
        scheme_document_from(document)
    document = shipped("score_scheme_demo")
    document["weights"][1]["weights"]["power_factor"] = 0
    with pytest.raises(ValueError, match="power_factor"):
        scheme_document_from(document)


def test_two_groups_cannot_name_one_industry_and_an_unknown_indicator_is_refused() -> None:
    document = shipped("score_scheme_demo")
    document["weights"][1]["industries"] = [""]
    with pytest.raises(ValueError, match="two groups"):
        scheme_document_from(document)
    document = shipped("score_scheme_demo")
    document["weights"][0]["weights"]["thd_u"] = 5
    with pytest.raises(ValueError, match="thd_u"):
        scheme_document_from(document)


@pytest.mark.parametrize(
    ("industry", "version"),
    [("C3130", "demo-2/manufacturing/three"), ("C", "demo-2/manufacturing/three"), ("P83", "demo-2/general/three"),
     ("", "demo-2/general/three")],
)  # fmt: skip
def test_the_scheme_of_the_closest_industry_and_of_the_shift_class_applies(industry: str, version: str) -> None:
    found = DEMO.scheme_for(industry=industry, shift="three")
    assert found is not None
    assert found.version == version
    assert DEMO.named(version) is found


@pytest.mark.parametrize(
    ("shift", "at_reference"), [("one", 0.30), ("two", 0.60), ("three", 0.85), ("continuous", 0.95)]
)
def test_the_load_rate_of_the_shift_class_is_judged_by_its_own_reference(shift: Shift, at_reference: float) -> None:
    scheme = DEMO.scheme_for(industry="", shift=shift)
    assert scheme is not None
    (points,) = [i.points for i in scheme.indicators if i.code == "load_factor"]
    assert 75 <= sub_score(value=at_reference, points=points) <= 90


VALUES = st.floats(-1, 500).map(Measured)


@given(st.fixed_dictionaries(dict.fromkeys(SCORED, VALUES)), st.sampled_from(DEMO.schemes))
def test_every_shipped_scheme_scores_any_customer_between_0_and_100(
    values: dict[str, Measured], scheme: ScoreScheme
) -> None:
    result = efficiency_score(values=values, completeness=WHOLE, scheme=scheme)
    assert result.score is not None
    assert 0 <= result.score <= 100
    assert len(result.largest_losses) <= 3


@given(st.floats(0, 1), st.floats(0, 1))
def test_a_better_load_factor_never_lowers_the_score(one: float, other: float) -> None:
    scheme = DEMO.schemes[1]
    rest = {i.code: Measured(0.9) for i in scheme.indicators}
    low, high = (
        efficiency_score(values={**rest, "load_factor": Measured(v)}, completeness=WHOLE, scheme=scheme).score
        for v in sorted((one, other))
    )
    assert low is not None
    assert high is not None
    assert low <= high
