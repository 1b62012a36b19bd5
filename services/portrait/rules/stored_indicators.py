"""Indicator values of one month as stored: a double for each code of SCORED, then a reason code for each."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from services.portrait.rules.measured import Measured
from services.portrait.rules.month_arrays import REASON_NAMES, MeasuredArray
from services.portrait.rules.month_indicators import SCORED

STORED_REASONS = (
    "",
    "no-data",
    "incomplete-data",
    "zero-energy",
    "zero-peak",
    "no-capacity",
    "no-contract-demand",
    "no-reactive-energy",
    "fewer-than-12-months",
    "no-scheme",
    "too-few-indicators",
)
"""Codes are stored for ever: names are appended, none ever moves."""
TO_STORED = np.array([STORED_REASONS.index(name) if name in STORED_REASONS else 255 for name in REASON_NAMES], np.uint8)
"""By the codes of REASON_NAMES; 255 for a reason that no score can have."""
ITEM_BYTES = 9


def encode(values: Mapping[str, MeasuredArray]) -> NDArray[np.uint8]:
    """One row of bytes for each record."""
    count = len(next(iter(values.values())).value)
    rows = np.empty((count, ITEM_BYTES * len(SCORED)), np.uint8)
    reasons = np.stack([values[code].reason for code in SCORED], axis=1)
    said = np.where(reasons == 0, np.stack([values[code].value for code in SCORED], axis=1), 0.0).astype("<f8")
    rows[:, : 8 * len(SCORED)] = said.view(np.uint8)
    rows[:, 8 * len(SCORED) :] = TO_STORED[reasons]
    assert (rows[:, 8 * len(SCORED) :] != 255).all(), "a reason without a stored code"
    return rows


def decode(stored: bytes) -> dict[str, Measured]:
    """Rows written before a code was appended hold fewer of them. Empty bytes hold none."""
    count = len(stored) // ITEM_BYTES
    values = np.frombuffer(stored, "<f8", count).tolist()
    reasons = stored[8 * count :]
    return {
        code: Measured(None, STORED_REASONS[reason]) if reason else Measured(value)
        for code, value, reason in zip(SCORED, values, reasons, strict=False)
    }
