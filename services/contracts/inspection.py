"""What inspection says: hazards from found to closed, visits, tests, training."""

from datetime import date
from typing import Annotated, Literal

from pydantic import Field

from services.contracts.envelope import Event, Id, Instant, Label, Version

HazardGrade = Literal["critical", "serious", "general"]
HazardStatus = Literal["found", "notified", "confirmed", "rectified", "verified", "closed", "voided"]


class _Hazard(Event):
    """Each says the whole hazard as it stands after the step; `version` orders the steps of one hazard."""

    TOPIC = "inspection-hazards"
    KEY = "hazard_id"

    hazard_id: Id
    version: Version
    customer_id: Id
    account_id: Id | None = None
    site_id: Id
    asset_id: Id | None = None
    item_code: Id
    grade: HazardGrade
    status: HazardStatus
    suspected: bool = False
    finding: Label
    deadline: Instant
    occurred_at: Instant


class HazardFound(_Hazard):
    TYPE = "keyline.inspection.hazard-found.v1"
    TITLE_ZH = "隐患已发现"


class HazardNotified(_Hazard):
    TYPE = "keyline.inspection.hazard-notified.v1"
    TITLE_ZH = "隐患已告知"


class HazardConfirmed(_Hazard):
    TYPE = "keyline.inspection.hazard-confirmed.v1"
    TITLE_ZH = "疑似隐患已确认"


class HazardRectified(_Hazard):
    TYPE = "keyline.inspection.hazard-rectified.v1"
    TITLE_ZH = "隐患已整改"


class HazardVerified(_Hazard):
    TYPE = "keyline.inspection.hazard-verified.v1"
    TITLE_ZH = "隐患整改已验收"


class HazardClosed(_Hazard):
    TYPE = "keyline.inspection.hazard-closed.v1"
    TITLE_ZH = "隐患已闭环"


class HazardOverdue(_Hazard):
    TYPE = "keyline.inspection.hazard-overdue.v1"
    TITLE_ZH = "隐患整改已逾期"


class HazardEscalated(_Hazard):
    TYPE = "keyline.inspection.hazard-escalated.v1"
    TITLE_ZH = "隐患已升级上报"


class HazardVoided(_Hazard):
    TYPE = "keyline.inspection.hazard-voided.v1"
    TITLE_ZH = "疑似隐患已排除"


class _Visit(Event):
    TOPIC = "inspection-visits"
    KEY = "visit_id"

    visit_id: Id
    customer_id: Id
    site_id: Id


class InspectionScheduled(_Visit):
    """The next due date and what moved it."""

    TYPE = "keyline.inspection.inspection-scheduled.v1"
    TITLE_ZH = "检查日期已排定"

    due_on: date
    reason: Literal["cycle", "class", "attention", "hazard"]


class InspectionSubmitted(_Visit):
    TYPE = "keyline.inspection.inspection-submitted.v1"
    TITLE_ZH = "检查结果已提交"

    inspector_ids: Annotated[tuple[Id, ...], Field(min_length=2, max_length=8)]
    submitted_at: Instant
    items_passed: Annotated[int, Field(ge=0, le=200)]
    items_failed: Annotated[int, Field(ge=0, le=200)]


class PreventiveTestExpiring(_Visit):
    TYPE = "keyline.inspection.preventive-test-expiring.v1"
    TITLE_ZH = "预防性试验即将到期"

    asset_id: Id
    expires_on: date


class ElectricianExamined(_Visit):
    TYPE = "keyline.inspection.electrician-examined.v1"
    TITLE_ZH = "进网电工已考核"

    person_id: Id
    score: Annotated[int, Field(ge=0, le=100)]
    passed: bool
    examined_at: Instant


class CasebookPublished(Event):
    TYPE = "keyline.inspection.casebook-published.v1"
    TITLE_ZH = "事故案例集已发布"
    TOPIC = "inspection-visits"
    KEY = "casebook_id"

    casebook_id: Id
    year: Annotated[int, Field(ge=2000, le=2100)]
    title: Label


EVENTS: tuple[type[Event], ...] = (
    HazardFound, HazardNotified, HazardConfirmed, HazardRectified, HazardVerified, HazardClosed, HazardOverdue,
    HazardEscalated, HazardVoided, InspectionScheduled, InspectionSubmitted, PreventiveTestExpiring,
    ElectricianExamined, CasebookPublished,
)  # fmt: skip
