"""Bodies of the archive's routes."""

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from services.contracts.envelope import Day
from services.contracts.marketing import ImportanceGrade
from services.contracts.portrait import Band
from services.portrait.rules.classes import ClassName

TimelineKind = Literal[
    "bill",
    "arrears",
    "outage",
    "hazard",
    "application",
    "score",
    "ticket",
    "conversation",
    "visit",
    "violation",
    "class",
]
Purpose = Literal["visit", "advice", "inspection-support", "training", "other"]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Found(_Body):
    """`found_by`: the kinds of terms that matched."""

    customer_id: str
    name: str
    former_names: list[str]
    found_by: list[str]


class TimelineItem(_Body):
    at: datetime
    kind: str
    id: str
    facts: dict[str, Any]


class Timeline(_Body):
    items: list[TimelineItem]
    next_before: str | None


class GroupMonth(_Body):
    """`customers`: how many members' energy is in the sum; fewer than all means that the sum is too small."""

    month: str
    energy_wh: int
    customers: int


class Group(_Body):
    """The members the caller may see, rolled up."""

    group_id: str
    customer_ids: list[str]
    contract_capacity_kva: Decimal
    months: list[GroupMonth]
    classes: dict[str, int]
    open_hazards: int
    in_arrears: int
    highest_attention_level: int


class Criteria(_Body):
    """All that are given must hold; of a list one entry."""

    classes: Annotated[list[ClassName], Field(max_length=4)] = []
    attention_at_least: Annotated[int, Field(ge=0, le=3)] | None = None
    importance_grades: Annotated[list[ImportanceGrade], Field(max_length=5)] = []
    key_account: bool | None = None
    service_area_ids: Annotated[list[Annotated[str, Field(max_length=64)]], Field(max_length=50)] = []
    industry_begins_with: Annotated[str, Field(pattern=r"^[A-T]?\d{0,4}$")] | None = None
    voltage_kv_at_least: Annotated[Decimal, Field(gt=0, le=1000)] | None = None
    contract_kva_at_least: Annotated[Decimal, Field(ge=0, le=10_000_000)] | None = None
    bands: Annotated[list[Band], Field(max_length=5)] = []
    group_id: Annotated[str, Field(max_length=64)] | None = None


class FilterToSave(_Body):
    name: Annotated[str, Field(min_length=1, max_length=80)]
    criteria: Criteria


class SavedFilter(_Body):
    filter_id: str
    name: str
    criteria: Criteria
    saved_at: datetime


class Selected(_Body):
    customer_id: str
    name: str
    key_account: bool
    importance_grade: str
    classes: list[str]
    attention_level: int
    contract_capacity_kva: Decimal
    band: str | None


class Selection(_Body):
    items: list[Selected]
    next_after: str | None


class BulkAssignment(_Body):
    assignee_person_id: Annotated[str, Field(max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:\-]*$")]
    purpose: Purpose
    due_on: Day
    note: Annotated[str, Field(max_length=500)] = ""


class Assigned(_Body):
    customers: int
    already_assigned: int


class Assignment(_Body):
    assignment_id: str
    customer_id: str
    purpose: str
    due_on: date
    note: str
    assigned_by: str
    assigned_at: datetime


class Outcome(_Body):
    outcome: Annotated[str, Field(min_length=2, max_length=1000)]
