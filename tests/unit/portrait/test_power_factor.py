"""Average power factor of a month and its adjustment, against the printed table of (83)水电财字第215号."""

from decimal import ROUND_HALF_UP, Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.portrait.rules.power_factor import (
    UserClass,
    adjustment_hundredths_percent,
    average_power_factor_hundredths,
    power_factor_standard_hundredths,
)

# power factor, then percent at standard 0.90, 0.85, 0.80
TABLE = """
1.00 -0.75 -1.10 -1.30
0.99 -0.75 -1.10 -1.30
0.98 -0.75 -1.10 -1.30
0.97 -0.75 -1.10 -1.30
0.96 -0.75 -1.10 -1.30
0.95 -0.75 -1.10 -1.30
0.94 -0.60 -1.10 -1.30
0.93 -0.45 -0.95 -1.30
0.92 -0.30 -0.80 -1.30
0.91 -0.15 -0.65 -1.15
0.90 0.00 -0.50 -1.00
0.89 +0.50 -0.40 -0.90
0.88 +1.00 -0.30 -0.80
0.87 +1.50 -0.20 -0.70
0.86 +2.00 -0.10 -0.60
0.85 +2.50 0.00 -0.50
0.84 +3.00 +0.50 -0.40
0.83 +3.50 +1.00 -0.30
0.82 +4.00 +1.50 -0.20
0.81 +4.50 +2.00 -0.10
0.80 +5.00 +2.50 0.00
0.79 +5.50 +3.00 +0.50
0.78 +6.00 +3.50 +1.00
0.77 +6.50 +4.00 +1.50
0.76 +7.00 +4.50 +2.00
0.75 +7.50 +5.00 +2.50
0.74 +8.00 +5.50 +3.00
0.73 +8.50 +6.00 +3.50
0.72 +9.00 +6.50 +4.00
0.71 +9.50 +7.00 +4.50
0.70 +10.00 +7.50 +5.00
0.69 +11.00 +8.00 +5.50
0.68 +12.00 +8.50 +6.00
0.67 +13.00 +9.00 +6.50
0.66 +14.00 +9.50 +7.00
0.65 +15.00 +10.00 +7.50
0.64 +17.00 +11.00 +8.00
0.63 +19.00 +12.00 +8.50
0.62 +21.00 +13.00 +9.00
0.61 +23.00 +14.00 +9.50
0.60 +25.00 +15.00 +10.00
0.59 +27.00 +17.00 +11.00
0.58 +29.00 +19.00 +12.00
0.57 +31.00 +21.00 +13.00
0.56 +33.00 +23.00 +14.00
0.55 +35.00 +25.00 +15.00
0.54 +37.00 +27.00 +17.00
0.53 +39.00 +29.00 +19.00
0.52 +41.00 +31.00 +21.00
0.51 +43.00 +33.00 +23.00
0.50 +45.00 +35.00 +25.00
"""
CELLS = [
    (round(float(row.split()[0]) * 100), standard, round(float(cell) * 100))
    for row in TABLE.strip().splitlines()
    for standard, cell in zip((90, 85, 80), row.split()[1:], strict=True)
]


@pytest.mark.parametrize(("power_factor", "standard", "expected"), CELLS)
def test_every_printed_cell_of_the_adjustment_table_is_reproduced(
    power_factor: int, standard: int, expected: int
) -> None:
    found = adjustment_hundredths_percent(power_factor_hundredths=power_factor, standard_hundredths=standard)
    assert found == expected


def test_the_surcharge_has_no_upper_limit() -> None:
    assert adjustment_hundredths_percent(power_factor_hundredths=29, standard_hundredths=90) == 8700


def test_a_standard_that_the_table_does_not_know_is_refused() -> None:
    with pytest.raises(ValueError, match="standard 88"):
        adjustment_hundredths_percent(power_factor_hundredths=90, standard_hundredths=88)


@pytest.mark.parametrize(
    ("ratio_ten_thousandths", "expected"), [(3106, 95), (3461, 95), (3462, 94), (3105, 96), (11231, 66), (11536, 66)]
)
def test_the_ratio_limits_of_the_official_lookup_give_its_power_factor(
    ratio_ten_thousandths: int, expected: int
) -> None:
    found = average_power_factor_hundredths(
        active_wh=10_000_000, forward_varh=ratio_ten_thousandths * 1_000, reverse_varh=0
    )
    assert found == expected


@given(st.integers(1, 10**12), st.integers(0, 10**12))
def test_the_integer_result_equals_a_fifty_digit_computation_rounded_half_up(active: int, reactive: int) -> None:
    with localcontext() as context:
        context.prec = 50
        exact = Decimal(active) / (Decimal(active) ** 2 + Decimal(reactive) ** 2).sqrt()
        expected = int((exact * 100).quantize(Decimal(1), ROUND_HALF_UP))
    found = average_power_factor_hundredths(active_wh=active, forward_varh=reactive, reverse_varh=0)
    assert found == expected


def test_reverse_reactive_energy_lowers_the_power_factor_whatever_its_sign() -> None:
    both = [average_power_factor_hundredths(active_wh=400, forward_varh=100, reverse_varh=r) for r in (200, -200)]
    assert both == [80, 80]


def test_a_month_without_active_energy_has_no_power_factor() -> None:
    assert average_power_factor_hundredths(active_wh=0, forward_varh=5, reverse_varh=0) is None


@pytest.mark.parametrize(
    ("user_class", "kva", "high_voltage", "standard"),
    [
        ("industrial", 160, True, 90),
        ("industrial", 159, True, 85),
        ("industrial", 400, False, 85),
        ("non-industrial", 400, True, 85),
        ("agricultural", 100, True, 80),
        ("wholesale", 1000, True, 80),
        ("industrial", 99, True, None),
    ],
)
def test_the_standard_follows_class_capacity_and_voltage(
    user_class: UserClass, kva: int, high_voltage: bool, standard: int | None
) -> None:
    found = power_factor_standard_hundredths(user_class=user_class, capacity_kva=kva, high_voltage=high_voltage)
    assert found == standard


def test_160_kva_itself_can_be_read_as_not_included() -> None:
    found = power_factor_standard_hundredths(
        user_class="industrial", capacity_kva=160, high_voltage=True, border_160_included=False
    )
    assert found == 85
