"""AHP, entropy and TOPSIS against worked vectors; what cannot be weighed is refused."""

import numpy as np
import pytest

from services.portrait.rules.weighting import (
    UnusableMatrix,
    closeness,
    combined_weights,
    entropy_weights,
    min_max,
    pairwise_weights,
)

JUDGED: list[list[float]] = [[1, 2, 4], [1 / 2, 1, 3], [1 / 4, 1 / 3, 1]]
CUSTOMERS = np.array(
    [(0.62, 0.35, 0.96, 0.55), (0.48, 0.60, 0.90, 0.30), (0.75, 0.28, 0.93, 0.70), (0.55, 0.45, 0.85, 0.42)]
)
SCALED = min_max(values=CUSTOMERS, larger_is_better=[True, False, True, True])


def test_ahp_gives_weights_eigenvalue_and_consistency_ratio() -> None:
    found = pairwise_weights(judgements=JUDGED)
    assert found.weights == pytest.approx((0.5584, 0.3196, 0.1220), abs=5e-5)
    assert found.largest_eigenvalue == pytest.approx(3.0183, abs=5e-5)
    assert found.consistency_ratio == pytest.approx(0.0158, abs=5e-5)
    assert found.consistent


def test_judgements_that_contradict_each_other_are_said_to() -> None:
    circle = [[1, 5, 1 / 5], [1 / 5, 1, 5], [5, 1 / 5, 1]]
    assert not pairwise_weights(judgements=circle).consistent


@pytest.mark.parametrize(
    "broken", [[[1, 2], [2, 1]], [[1, 2, 3], [0.5, 1, 2]], [[1, -2], [-0.5, 1]], [[1.0] * 10] * 10, []]
)
def test_a_matrix_that_is_not_reciprocal_square_and_positive_is_refused(broken: list[list[float]]) -> None:
    with pytest.raises(UnusableMatrix):
        pairwise_weights(judgements=broken)


def test_entropy_weighs_indicators_by_how_much_they_tell_apart() -> None:
    found = entropy_weights(scaled=SCALED)
    assert found.entropies == pytest.approx((0.6952, 0.7607, 0.7578, 0.7179), abs=5e-5)
    assert found.weights == pytest.approx((0.2853, 0.2240, 0.2267, 0.2641), abs=5e-5)
    assert SCALED @ found.weights * 100 == pytest.approx((71.46, 10.30, 93.82, 25.82), abs=5e-3)


def test_topsis_orders_the_customers_by_closeness_to_the_best() -> None:
    found = closeness(scaled=SCALED, weights=entropy_weights(scaled=SCALED).weights)
    assert found == pytest.approx((0.6726, 0.1813, 0.8855, 0.2843), abs=5e-5)


def test_a_column_that_does_not_differ_scales_to_one_and_weighs_nothing() -> None:
    scaled = min_max(values=np.array([[1.0, 3.0], [1.0, 5.0], [1.0, 4.0]]), larger_is_better=[True, True])
    assert scaled[:, 0].tolist() == [1, 1, 1]
    assert entropy_weights(scaled=scaled).weights == pytest.approx((0, 1))


def test_customers_that_do_not_differ_or_stand_alone_cannot_be_weighed() -> None:
    with pytest.raises(UnusableMatrix):
        entropy_weights(scaled=np.ones((3, 2)))
    with pytest.raises(UnusableMatrix):
        entropy_weights(scaled=np.ones((1, 2)))
    assert closeness(scaled=np.ones((2, 2)), weights=(0.5, 0.5)) == (0.5, 0.5)


def test_combined_weights_are_the_product_or_the_mean() -> None:
    assert combined_weights(judged=(0.5, 0.5), spread=(0.2, 0.8), multiply=False) == pytest.approx((0.35, 0.65))
    assert combined_weights(judged=(0.75, 0.25), spread=(0.5, 0.5), multiply=True) == pytest.approx((0.75, 0.25))
