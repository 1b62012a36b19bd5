"""What a chunk of customers had agreed in each month: capacities, contracted demand, industry, confirmed shifts."""

# ruff: noqa: S608 - the text is composed of constants of this package; every value is a parameter

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import compress
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.portrait.customers.calendar import shifted
from services.portrait.metering.store import SCHEMA, Connection
from services.portrait.rules.shift_pattern import SHIFTS
from services.portrait.rules.terms import terms_in_force
from services.portrait.scoring.customer_range import between

_TERMS = f"""
SELECT customer_id, account_id, valid_from, valid_to, industry_class, contract_capacity_kva::float8,
  operating_capacity_kva::float8, coalesce(contract_demand_kw, 0)::float8
FROM {SCHEMA}.account_terms WHERE {between("customer_id")}
ORDER BY account_id, valid_from"""
_SHIFTS = f"""
SELECT customer_id, effective_from, shift FROM {SCHEMA}.customer_shift
WHERE {between("customer_id")} ORDER BY customer_id, effective_from"""


class _Terms(NamedTuple):
    customer_id: str
    account_id: str
    valid_from: date
    valid_to: date | None
    industry_class: str
    contract_kva: float
    operating_kva: float
    contract_demand_kw: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthlyAgreements:
    """Arrays (customers, months); `industry` indexes `industries`, `shift` SHIFTS with -1 for not confirmed."""

    contract_kva: NDArray[np.float64]
    operating_kva: NDArray[np.float64]
    contract_demand_kw: NDArray[np.float64]
    industry: NDArray[np.int64]
    industries: Sequence[str]
    shift: NDArray[np.int8]


async def read_agreements(
    connection: Connection, *, after_id: str, up_to_id: str | None, position: Mapping[str, int], months: Sequence[date]
) -> MonthlyAgreements:
    """Of the customers in (after_id, up_to_id] that `position` names."""
    periods = await connection.fetch(_TERMS, after_id, up_to_id)
    shifts = await connection.fetch(_SHIFTS, after_id, up_to_id)
    places = np.array([position.get(row[0], -1) for row in periods], np.int64)
    shape = (len(position), len(months))
    sums, industry = np.zeros((3, *shape)), np.zeros(shape, np.int64)
    industries: dict[str, int] = {"": 0}
    # Nearly all customers have one account with one period, which counts in every month.
    single = (np.bincount(places[places >= 0], minlength=max(1, len(position))) == 1)[places] & (places >= 0)
    lone = list(compress(periods, single.tolist()))
    codes = [industries.setdefault(row[4], len(industries)) for row in lone]
    industry[places[single]] = np.array(codes, np.int64)[:, None]
    for number in range(3):
        sums[number, places[single]] = np.array([row[5 + number] for row in lone], np.float64)[:, None]
    several: dict[int, list[_Terms]] = {}
    for row, place, alone in zip(periods, places.tolist(), single.tolist(), strict=True):
        if place >= 0 and not alone:
            several.setdefault(place, []).append(_Terms(*row))
    last_days = [shifted(month, months=1) - timedelta(days=1) for month in months]
    for place, rows in several.items():
        for number, day in enumerate(last_days):
            held = terms_in_force(rows, day=day)
            largest = max(held, key=lambda terms: (terms.contract_kva, terms.account_id))
            industry[place, number] = industries.setdefault(largest.industry_class, len(industries))
            sums[0, place, number] = sum(terms.contract_kva for terms in held)
            sums[1, place, number] = sum(terms.operating_kva for terms in held)
            sums[2, place, number] = sum(terms.contract_demand_kw for terms in held)
    return MonthlyAgreements(
        contract_kva=sums[0],
        operating_kva=sums[1],
        contract_demand_kw=sums[2],
        industry=industry,
        industries=list(industries),
        shift=_confirmed(shifts, position, months),
    )


def _confirmed(rows: Sequence[Any], position: Mapping[str, int], months: Sequence[date]) -> NDArray[np.int8]:
    """Rows come by rising date, so a later confirmation takes over from its month on."""
    found = np.full((len(position), len(months)), -1, np.int8)
    known = [row for row in rows if row[0] in position]
    at_first = {position[row[0]]: SHIFTS.index(row[2]) for row in known if row[1] <= months[0]}
    found[list(at_first)] = np.array(list(at_first.values()), np.int8)[:, None]
    for customer, effective_from, shift in known:
        if effective_from > months[0]:
            found[position[customer], bisect_left(months, effective_from) :] = SHIFTS.index(shift)
    return found
