"""From what was read of a range of customers to the rows of their scores: arrays only, no I/O.

The pure rules for one customer are the measure: tests hold these arrays to them, bit for bit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from services.portrait.rules import stored_indicators
from services.portrait.rules.efficiency_score import ScoreScheme
from services.portrait.rules.month_arrays import REASON_NAMES, Agreements, month_arrays
from services.portrait.rules.month_facts import Facts, month_index
from services.portrait.rules.peers import SIZE_BORDERS_KVA, SIZES
from services.portrait.rules.score_arrays import NO_BAND, ScoreArrays, score_arrays
from services.portrait.rules.score_block import LETTERS, RECORD, Records, name_previous_bands, unmeasured
from services.portrait.rules.score_schemes import SchemeDocument
from services.portrait.rules.shift_pattern import SHIFTS, shifts_of
from services.portrait.rules.stored_indicators import TO_STORED
from services.portrait.rules.time_of_use import TouPlan
from services.portrait.scoring.agreements import MonthlyAgreements

HISTORY_MONTHS = 11
"""Months before the first whose maxima `demand_cv` needs."""


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
    """The letter of each customer's band before the first month (score_block.LETTERS)."""


@dataclass(frozen=True, kw_only=True)
class ScoredChunk:
    """Per record of `chunk.facts`, beside what customers without a record get."""

    chunk: Chunk
    scores: ScoreArrays
    indicators: NDArray[np.uint8]
    scheme: NDArray[np.int64]
    """Position in the schemes of the plan, -1 where none applies."""
    shift: NDArray[np.int8]
    confirmed: NDArray[np.bool_]


PEER = np.dtype([("group", "S8"), ("hundredths", "<i2"), ("energy_wh", "<i8")])
"""What publishing counts of a customer's month; the score is -1 where there is none."""


def results(chunk: Chunk, plan: ScoringPlan) -> tuple[Records, NDArray[np.void]]:
    """What to store of each customer, and PEER records (months, customers)."""
    records = result_records(score_chunk(chunk, plan), plan)
    peers = np.empty(records.T.shape, PEER)
    for ours, theirs in (("group", "peer_group"), ("hundredths", "hundredths"), ("energy_wh", "energy_wh")):
        peers[ours] = records[theirs].T
    return records, peers


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


def result_records(scored: ScoredChunk, plan: ScoringPlan) -> Records:
    """A record for each customer and month, also where there are no facts."""
    chunk, scores = scored.chunk, scored.scores
    found = np.zeros(len(chunk.owner), RECORD)
    found["hundredths"] = np.where(scores.not_scored == 0, np.rint(scores.score * 100), -1)
    found["scheme"] = scored.scheme
    found["band"] = LETTERS[scores.band]
    found["not_scored"] = TO_STORED[scores.not_scored]
    found["shift"] = scored.shift + 1
    found["shift_confirmed"] = scored.confirmed
    found["measured"] = 1
    found["energy_wh"] = chunk.facts["energy_wh"]
    found["indicators"] = scored.indicators
    records = unmeasured(customers=len(chunk.customers), months=len(plan.months))
    records[chunk.owner, chunk.facts["month"] - month_index(plan.months[0])] = found
    group, names = _peer_groups(chunk.agreements)
    records["peer_group"] = np.array(names, "S8")[group]
    name_previous_bands(records, last=chunk.bands_before)
    return records


def _peer_groups(agreed: MonthlyAgreements) -> tuple[NDArray[np.int64], list[str]]:
    """Positions in the list of `industry-size` (rules/peers.py peer_group)."""
    size = np.zeros(agreed.contract_kva.shape, np.int64)
    for border in SIZE_BORDERS_KVA:
        size += agreed.contract_kva >= border
    names = [f"{industry[:3] or '?'}-{name}" for industry in agreed.industries for name in SIZES]
    return agreed.industry * len(SIZES) + size, names
