"""The months of one customer in one scoring run as they are stored: a fixed record for each month, in order.

One row for all months of a run takes a twelfth of the rows and index entries of a year, and goes to the database as it
lies in memory. The view of `scoring/score_view.py` shows each month as a row. Numbers are big-endian, as the
database's casts from bytes expect them.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.portrait.rules.efficiency_score import BANDS
from services.portrait.rules.month_indicators import SCORED
from services.portrait.rules.stored_indicators import ITEM_BYTES, STORED_REASONS

_FIELDS: list[Any] = [
    ("hundredths", ">i2"),  # of the score, which has two decimals; -1 where there is none
    ("scheme", ">i2"),  # position in the schemes of the run; -1 where none was used
    ("band", "u1"),  # its letter, 0 where there is none
    ("previous_band", "u1"),
    ("not_scored", "u1"),  # position in STORED_REASONS
    ("shift", "u1"),  # position in SHIFTS counted from 1, 0 where none was used
    ("shift_confirmed", "u1"),
    ("measured", "u1"),  # 1 where there are facts, and so indicators
    ("peer_group", "S8"),
    ("energy_wh", ">i8"),
    ("indicators", "u1", ITEM_BYTES * len(SCORED)),  # the last, as it grows when a code is appended
]
RECORD = np.dtype(_FIELDS)
LETTERS = np.array([*[ord(band) for _, band in BANDS], 0], np.uint8)
"""The stored form of a band by its position in BANDS; NO_BAND finds the 0."""

Records = NDArray[Any]
"""Of RECORD, (customers, months)."""


def unmeasured(*, customers: int, months: int) -> Records:
    """Months without facts; the caller names the peer group."""
    empty = np.zeros(1, RECORD)
    empty["hundredths"] = empty["scheme"] = -1
    empty["not_scored"] = STORED_REASONS.index("no-data")
    return np.repeat(empty, customers * months).reshape(customers, months)


def name_previous_bands(records: Records, *, last: NDArray[np.uint8]) -> None:
    """Write into each month the band of the newest scored month before it; `last` holds the letters before the run."""
    for month in range(records.shape[1]):
        records["previous_band"][:, month] = last
        band = records["band"][:, month]
        last = np.where(band != 0, band, last)
