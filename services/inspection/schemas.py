"""What the HTTP interface of inspection takes and gives."""

from datetime import date, datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from services.contracts.envelope import Id
from services.contracts.inspection import HazardGrade, HazardStatus
from services.inspection.rules.hazard_state import Step
from services.inspection.rules.inspection_cycle import Reason

Note = Annotated[str, StringConstraints(max_length=500, pattern=r"^[^\x00-\x08\x0b\x0c\x0e-\x1f]*$")]
Name = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]*$")]


class _Taken(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class AnswerIn(_Taken):
    code: Id
    value: bool | Annotated[float, Field(ge=-1e9, le=1e9)] | Annotated[str, StringConstraints(max_length=100)]
    asset_id: Id | None = None
    note: Note | None = None


class InspectionIn(_Taken):
    site_id: Id
    inspector_ids: Annotated[list[Id], Field(max_length=8)]
    companion: Name | None = None
    items: Annotated[list[AnswerIn], Field(min_length=1, max_length=200)]


class ReasonIn(_Taken):
    reason: Annotated[Note, Field(min_length=1)]


class NoteIn(_Taken):
    note: Note | None = None


class ChecklistItem(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    code: str
    step: int
    title_zh: str
    title_en: str
    kind: str
    unit: str
    passes: dict[str, bool | int | float | list[str]]
    grade: HazardGrade


class Submitted(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    visit_id: str
    hazard_ids: list[str]
    items_passed: int
    items_failed: int


class DueSite(BaseModel):
    site_id: str
    site_name: str
    customer_id: str
    customer_name: str
    visit_id: str
    due_on: date
    reason: Reason
    last_done_on: date
    overdue: bool


class Hazard(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    hazard_id: str
    version: int
    customer_id: str
    account_id: str | None
    site_id: str
    asset_id: str | None
    visit_id: str | None
    item_code: str
    grade: HazardGrade
    status: HazardStatus
    suspected: bool
    finding: str
    found_at: datetime
    deadline: datetime
    overdue_since: datetime | None


class HazardStep(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    version: int
    step: str
    person_id: str
    at: datetime
    note: str | None
    photo_id: str | None


class HazardDetail(Hazard):
    steps: list[HazardStep]
    possible_steps: list[Step]
