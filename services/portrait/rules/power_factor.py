"""The month's average power factor and its adjustment of the bill: 《功率因数调整电费办法》(83)水电财字第215号.

Integers throughout: power factors in hundredths, percentages in hundredths of a percent.
"""

from math import isqrt
from typing import Literal

UserClass = Literal["industrial", "non-industrial", "agricultural", "wholesale"]


def average_power_factor_hundredths(*, active_wh: int, forward_varh: int, reverse_varh: int) -> int | None:
    """Wp / sqrt(Wp^2 + Wq^2) of the month, rounded half up to two decimals; None without active energy.

    Reverse reactive energy counts with its absolute value, so over-compensation lowers the result.
    """
    if active_wh <= 0:
        return None
    reactive = abs(forward_varh) + abs(reverse_varh)
    # floor(100 pf + 1/2) = (floor(200 pf) + 1) // 2, and floor(200 pf) is an integer square root.
    twice_hundredths = isqrt(40_000 * active_wh**2 // (active_wh**2 + reactive**2))
    return (twice_hundredths + 1) // 2


def largest_reactive_varh(*, active_wh: int, standard_hundredths: int) -> int:
    """The most reactive energy with which the month still rounds to the standard; exact.

    pf rounds up to s hundredths from (2s - 1) / 200 on, so Wq^2 <= Wp^2 (200^2 - (2s - 1)^2) / (2s - 1)^2.
    """
    border = 2 * standard_hundredths - 1
    return isqrt(active_wh**2 * (200**2 - border**2) // border**2)


USER_CLASSES: dict[str, UserClass] = {
    "continuous-process": "industrial",
    "industrial": "industrial",
    "seasonal": "industrial",
    "commercial": "non-industrial",
    "public-service": "non-industrial",
    "agriculture": "agricultural",
}
"""Nature of use -> class of the adjustment rule. A seasonal customer may be agricultural: check such accounts."""
HIGH_VOLTAGE_FROM_KV = 1


def power_factor_standard_hundredths(
    *, user_class: UserClass, capacity_kva: int, high_voltage: bool, border_160_included: bool = True
) -> int | None:
    """90, 85 or 80; None below 100 kVA, where nothing is assessed.

    The sources disagree whether 160 kVA itself belongs to 0.90 (以上 usually includes the number).
    """
    if capacity_kva < 100:
        return None
    if user_class in ("agricultural", "wholesale"):
        return 80
    large = capacity_kva >= 160 if border_160_included else capacity_kva > 160
    return 90 if user_class == "industrial" and high_voltage and large else 85


def adjustment_hundredths_percent(*, power_factor_hundredths: int, standard_hundredths: int) -> int:
    """Surcharge (+) or reduction (-) of the adjustable part of the bill: 250 means + 2.50 %.

    Raises ValueError for a standard other than 90, 85, 80 or a power factor outside 0..100.
    """
    if standard_hundredths not in (90, 85, 80) or not 0 <= power_factor_hundredths <= 100:
        raise ValueError(f"no adjustment for {power_factor_hundredths} against the standard {standard_hundredths}")
    missing = standard_hundredths - power_factor_hundredths
    if missing > 25:
        return 1500 + 200 * (missing - 25)
    if missing > 20:
        return 1000 + 100 * (missing - 20)
    if missing > 0:
        return 50 * missing
    rewarded = min(power_factor_hundredths, {90: 95, 85: 94, 80: 92}[standard_hundredths])
    return -(10 * (min(rewarded, 90) - standard_hundredths) + 15 * max(0, rewarded - 90))
