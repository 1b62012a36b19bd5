"""From what was read of a range of customers to the rows of their scores: arrays only, no I/O.

The pure rules for one customer are the measure: tests hold these arrays to them, bit for bit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from services.portrait.customers.calendar import month_name
from services.portrait.rules import stored_indicators
from services.portrait.rules.efficiency_score import BANDS, ScoreScheme
from services.portrait.rules.month_arrays import REASON_NAMES, Agreements, month_arrays
from services.portrait.rules.month_facts import Facts, month_index
from services.portrait.rules.peers import SIZE_BORDERS_KVA, SIZES
from services.portrait.rules.score_arrays import NO_BAND, ScoreArrays, score_arrays
from services.portrait.rules.score_schemes import SchemeDocument
from services.portrait.rules.shift_pattern import SHIFTS, shifts_of
from services.portrait.rules.time_of_use import TouPlan
from services.portrait.scoring.agreements import MonthlyAgreements
from services.portrait.scoring.copy_rows import copy_rows, numbers, octets, texts

HISTORY_MONTHS = 11
"""Months before the first whose maxima `demand_cv` needs."""
COLUMNS = (
    "customer_id", "month", "run_id", "score", "band", "previous_band", "not_scored_because", "scheme_version",
    "shift", "shift_confirmed", "peer_group", "energy_wh", "indicators",
)  # fmt: skip
BAND_NAMES = [band for _, band in BANDS]
_NO_DATA = REASON_NAMES.index("no-data")


@dataclass(frozen=True, kw_only=True)
class ScoringPlan:
    """What a run applies: its months from first to last, the plan of tariff periods and the schemes."""

    run_id: UUID
    months: tuple[date, ...]
    tariff: TouPlan
    schemes: SchemeDocument


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """What was read of the customers of one range."""

    customers: Sequence[str]
    facts: Facts
    owner: NDArray[np.int64]
    """Position in `customers` of each record."""
    maxima_kw: NDArray[np.float64]
    """(customers, HISTORY_MONTHS + months), NaN without data."""
    agreements: MonthlyAgreements
    bands_before: NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class ScoredChunk:
    """Per record of `chunk.facts`, beside what customers without a record get."""

    chunk: Chunk
    scores: ScoreArrays
    indicators: NDArray[np.uint8]
    scheme: NDArray[np.int64]
    scheme_names: Sequence[str]
    shift: NDArray[np.int8]
    confirmed: NDArray[np.bool_]


PEER = np.dtype([("group", "S8"), ("score", "<f8"), ("energy_wh", "<i8")])
"""What publishing counts of a customer's month; the score is NaN where there is none."""


def results(chunk: Chunk, plan: ScoringPlan) -> tuple[bytes, bytes]:
    """The rows to store, and PEER records of all customers for the first month, then the second, ..."""
    scored = score_chunk(chunk, plan)
    at = (chunk.owner, chunk.facts["month"] - month_index(plan.months[0]))
    group, names = _peer_groups(chunk.agreements)
    peers = np.zeros(group.shape, PEER)
    peers["group"] = np.array(names, "S8")[group]
    peers["score"] = np.nan
    peers["score"][at] = scored.scores.score
    peers["energy_wh"][at] = chunk.facts["energy_wh"]
    return result_rows(scored, plan), peers.T.tobytes()


def score_chunk(chunk: Chunk, plan: ScoringPlan) -> ScoredChunk:
    facts, month = chunk.facts, chunk.facts["month"] - month_index(plan.months[0])
    at = (chunk.owner, month)
    agreed = chunk.agreements
    steps = np.unique(facts["step_minutes"]).tolist()
    found = month_arrays(
        facts=facts,
        agreements=Agreements(
            contract_kva=agreed.contract_kva[at],
            operating_kva=agreed.operating_kva[at],
            contract_demand_kw=agreed.contract_demand_kw[at],
        ),
        monthly_maximum_kw=np.stack([chunk.maxima_kw[chunk.owner, month + n] for n in range(HISTORY_MONTHS + 1)]),
        slot_periods={
            (month_index(m), step): _month_slots(plan.tariff, m, step) for m in plan.months for step in steps
        },
    )
    confirmed, shift = agreed.shift[at] >= 0, agreed.shift[at].copy()
    open_ = np.flatnonzero(~confirmed)
    shift[open_] = shifts_of(
        profiles_wh=facts["profile"][open_].astype(np.int64), step_minutes=facts["step_minutes"][open_].astype(np.int64)
    )
    scheme = _schemes(plan.schemes, agreed.industries)[agreed.industry[at], np.maximum(shift, 0)]
    scores = ScoreArrays(
        score=np.full(len(facts), np.nan),
        band=np.full(len(facts), NO_BAND, np.uint8),
        not_scored=np.full(len(facts), REASON_NAMES.index("no-scheme"), np.uint8),
    )
    for number in np.unique(scheme[scheme >= 0]).tolist():
        chosen = np.flatnonzero(scheme == number)
        part = score_arrays(
            values={code: value.take(chosen) for code, value in found.values.items()},
            completeness=found.completeness.take(chosen),
            scheme=plan.schemes.schemes[number],
        )
        for name in ("score", "band", "not_scored"):
            getattr(scores, name)[chosen] = getattr(part, name)
    return ScoredChunk(
        chunk=chunk,
        scores=scores,
        indicators=stored_indicators.encode(found.values),
        scheme=scheme,
        scheme_names=[s.version for s in plan.schemes.schemes],
        shift=shift,
        confirmed=confirmed,
    )


@lru_cache(maxsize=256)
def _month_slots(tariff: TouPlan, month: date, step_minutes: int) -> NDArray[np.uint8]:
    return tariff.month_slots(month=month, step_minutes=step_minutes)


def _schemes(document: SchemeDocument, industries: Sequence[str]) -> NDArray[np.int64]:
    """(industries, SHIFTS): position of the scheme, -1 where none applies."""
    place: Mapping[str, int] = {scheme.version: n for n, scheme in enumerate(document.schemes)}

    def position(scheme: ScoreScheme | None) -> int:
        return place[scheme.version] if scheme else -1

    return np.array(
        [[position(document.scheme_for(industry=i, shift=s)) for s in SHIFTS] for i in industries], np.int64
    ).reshape(-1, len(SHIFTS))


def result_rows(scored: ScoredChunk, plan: ScoringPlan) -> bytes:
    """A row for each customer and month, also where there is no record; customers in order, months within."""
    chunk, months = scored.chunk, len(plan.months)
    shape = (len(chunk.customers), months)
    at = (chunk.owner, chunk.facts["month"] - month_index(plan.months[0]))

    def grid(values: NDArray[Any], empty: Any, kind: Any) -> NDArray[Any]:
        whole = np.full(shape, empty, kind)
        whole[at] = values
        return whole.reshape(-1)

    band = grid(scored.scores.band, NO_BAND, np.uint8)
    before = _bands_before(band.reshape(shape), chunk.bands_before).reshape(-1)
    not_scored = grid(scored.scores.not_scored, _NO_DATA, np.uint8)
    width = scored.indicators.shape[1]
    indicators = np.zeros((*shape, width), np.uint8)
    indicators[at] = scored.indicators
    without = grid(np.zeros(len(chunk.owner), bool), True, bool)
    stored = octets(indicators.reshape(-1, width))
    group, groups = _peer_groups(chunk.agreements)
    rows = shape[0] * months
    return copy_rows(
        [
            texts(chunk.customers, np.repeat(np.arange(shape[0]), months)),
            texts([month_name(m) for m in plan.months], np.tile(np.arange(months), shape[0])),
            octets(np.broadcast_to(np.frombuffer(plan.run_id.bytes, np.uint8), (rows, 16))),
            numbers(grid(scored.scores.score, 0.0, np.float64), ">f8").null_where(not_scored != 0),
            texts([*BAND_NAMES, ""], band).null_where(band == NO_BAND),
            texts([*BAND_NAMES, ""], before).null_where(before == NO_BAND),
            texts(REASON_NAMES, not_scored).null_where(not_scored == 0),
            texts([*scored.scheme_names, ""], grid(scored.scheme, -1, np.int64)),
            texts([*SHIFTS, ""], grid(scored.shift, -1, np.int8)),
            octets(grid(scored.confirmed, False, np.uint8).reshape(-1, 1)),
            texts(groups, group.reshape(-1)),
            numbers(grid(chunk.facts["energy_wh"], 0, np.int64), ">i8"),
            type(stored)(stored.data, np.where(without, np.int32(0), stored.length)),
        ]
    )


def _bands_before(band: NDArray[np.uint8], last: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The band of the newest scored month before each."""
    before = np.empty_like(band)
    for month in range(band.shape[1]):
        before[:, month] = last
        last = np.where(band[:, month] != NO_BAND, band[:, month], last)
    return before


def _peer_groups(agreed: MonthlyAgreements) -> tuple[NDArray[np.int64], list[str]]:
    """Positions in the list of `industry-size` (rules/peers.py peer_group)."""
    size = np.zeros(agreed.contract_kva.shape, np.int64)
    for border in SIZE_BORDERS_KVA:
        size += agreed.contract_kva >= border
    names = [f"{industry[:3] or '?'}-{name}" for industry in agreed.industries for name in SIZES]
    return agreed.industry * len(SIZES) + size, names
