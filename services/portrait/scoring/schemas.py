"""Bodies and answers of the scoring routes."""

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from services.contracts.envelope import Day, Label
from services.portrait.rules.shift_pattern import Shift
from services.portrait.schemas import Score

Month = Annotated[str, Field(pattern=r"^20\d{2}-(0[1-9]|1[0-2])$")]
_Code = Annotated[str, Field(max_length=40, pattern=r"^[a-z][a-z0-9_]*$")]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PhaseOfRun(_Body):
    phase: str
    chunks: int
    done: int
    customers: int
    seconds: float | None


class Run(_Body):
    """`share_done` counts chunks; a run is the result of its months from `published_at` on, and finished when told."""

    run_id: UUID
    from_month: str
    month: str
    customer_id: str | None
    trial: bool
    scheme_version: str
    requested_by: str
    requested_at: datetime
    published_at: datetime | None
    finished_at: datetime | None
    share_done: float
    phases: list[PhaseOfRun]


class WeakPoint(_Body):
    """What keeps the score from 100; a saving where all its prices are known, else which one is missing."""

    indicator: str
    lost_points: float
    value: float
    target: float
    saving_yuan_per_month: Decimal | None
    without_saving_because_zh: str | None
    without_saving_because_en: str | None


class Peers(_Body):
    """`percentile`: percent of the other peers with a lower score."""

    group: str
    peers: int | None
    percentile: float | None
    withheld_because_zh: str | None
    withheld_because_en: str | None


class NotAvailable(_Body):
    indicator: str
    because_zh: str
    because_en: str


class ExplainedScore(_Body):
    score: Score
    scheme_version: str
    shift: str | None
    shift_zh: str | None
    shift_en: str | None
    shift_status: Literal["proposed", "confirmed"]
    weak_points: list[WeakPoint]
    prices_version: str | None
    peers: Peers
    not_available: list[NotAvailable]


class ScoreOfRun(_Body):
    customer_id: str
    month: str
    score: float | None
    band: str | None
    not_scored_because: str | None


class ShiftSeen(_Body):
    month: str
    proposed_shift: Shift | None
    proposed_shutdown_days: list[date]
    confirmed_shift: Shift | None
    confirmed_shutdown_days: list[date]
    confirmed_from: date | None
    status: Literal["proposed", "confirmed"]


class ShiftConfirmed(_Body):
    """In force from the first day of `from_month` on, until a later one is confirmed."""

    from_month: Month
    shift: Shift
    shutdown_days: Annotated[list[Day], Field(max_length=366)] = []


class NewDispute(_Body):
    """No free words: they are said in the conversation that the ticket opens."""

    run_id: UUID
    ground: Literal["wrong-data", "wrong-capacity", "wrong-shift", "wrong-peers", "other"]
    indicators: Annotated[list[_Code], Field(max_length=10)] = []


class Dispute(_Body):
    dispute_id: UUID
    month: str
    run_id: UUID
    ground: str
    disputed_by: str
    disputed_at: datetime
    evidence: dict[str, Any]


class NewDocument(_Body):
    version: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.\-]{0,18}$")]
    scope_kind: Literal["nation", "province", "company"]
    scope_id: Annotated[str, Field(max_length=64)] = ""
    source: Label
    document: Annotated[dict[str, Any], Field(max_length=20)]


class Document(_Body):
    version: str
    scope_kind: str
    scope_id: str
    source: str
    effective_from: date
    effective_to: date | None
    status: Literal["entered", "confirmed"]
    entered_by: str
    confirmed_by: str | None
    document: dict[str, Any]


class WeightQuestion(_Body):
    """`judgements` is the pairwise matrix over `indicators`, in their order."""

    month: Month
    indicators: Annotated[list[_Code], Field(min_length=2, max_length=9)]
    judgements: Annotated[list[list[Annotated[float, Field(gt=0, le=9)]]], Field(max_length=9)]
    industry: Annotated[str, Field(max_length=5)] = ""
    multiply: bool = False


class WeightProposal(_Body):
    """An analysis. It changes no score; new weights take force as a confirmed document only."""

    kind: Literal["analysis"] = "analysis"
    note_zh: str = "仅供分析，不改变任何评分；新权重须录入并由第二人确认后方可生效。"
    note_en: str = "Analysis only; it changes no score. New weights take force once a second person has confirmed them."
    customers: int
    indicators: list[str]
    judged_weights: list[float]
    consistency_ratio: float
    consistent: bool
    entropies: list[float]
    spread_weights: list[float]
    combined_weights: list[float]
    topsis_rank_agreement: float | None
    """Spearman's rank correlation of TOPSIS closeness under the combined weights with the published scores."""
