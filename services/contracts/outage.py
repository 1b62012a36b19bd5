"""What outage says: planned and fault outages with whom they touch, site close-out, contractors."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from services.contracts.envelope import Event, Id, Instant, Label, Part, Version

MAX_PART = 1_000


class Affected(Part):
    account_id: Id
    customer_id: Id
    usage_point_id: Id


class AffectedPart(Part):
    """Part `part` of `parts` of the set `set_id` in `set_version`.

    Additions act at once; who is missing is withdrawn only when all parts of the version have come.
    """

    set_id: Id
    set_version: Version
    part: Annotated[int, Field(ge=1)]
    parts: Annotated[int, Field(ge=1)]
    affected: Annotated[tuple[Affected, ...], Field(max_length=MAX_PART)]

    @model_validator(mode="after")
    def _part_of_parts(self) -> Self:
        if self.part > self.parts:
            raise ValueError("part: exceeds parts")
        return self


class _Plan(Event):
    TOPIC = "outage-plans"
    KEY = "outage_id"

    outage_id: Id
    version: Version
    feeder_id: Id
    starts_at: Instant
    ends_at: Instant
    reason: Label
    temporary: bool = False
    affected: AffectedPart


class PlannedOutagePublished(_Plan):
    TYPE = "keyline.outage.planned-outage-published.v1"
    TITLE_ZH = "计划停电已发布"


class PlannedOutageChanged(_Plan):
    TYPE = "keyline.outage.planned-outage-changed.v1"
    TITLE_ZH = "计划停电已变更"


class PlannedOutageCancelled(_Plan):
    TYPE = "keyline.outage.planned-outage-cancelled.v1"
    TITLE_ZH = "计划停电已取消"


class _Incident(Event):
    TOPIC = "outage-incidents"
    KEY = "outage_id"

    outage_id: Id
    feeder_id: Id
    fault_id: Id


class FaultOutageDetected(_Incident):
    TYPE = "keyline.outage.fault-outage-detected.v1"
    TITLE_ZH = "故障停电范围已确定"

    detected_at: Instant
    affected: AffectedPart


class RestorationEstimated(_Incident):
    TYPE = "keyline.outage.restoration-estimated.v1"
    TITLE_ZH = "预计复电时间已给出"

    estimated_at: Instant
    expected_at: Instant


class OutageSupplyRestored(_Incident):
    TYPE = "keyline.outage.supply-restored.v1"
    TITLE_ZH = "停电已恢复"

    detected_at: Instant
    restored_at: Instant
    affected: AffectedPart


class SiteCleared(Event):
    TYPE = "keyline.outage.site-cleared.v1"
    TITLE_ZH = "施工现场已清理"
    TOPIC = "outage-sites"
    KEY = "outage_id"

    outage_id: Id
    cleared_at: Instant
    confirmed_by: Id


class ContractorEvaluated(Event):
    TYPE = "keyline.outage.contractor-evaluated.v1"
    TITLE_ZH = "施工单位已评价"
    TOPIC = "outage-sites"
    KEY = "outage_id"

    outage_id: Id
    contractor_id: Id
    points: Annotated[int, Field(ge=0, le=100)]
    grade: Literal["A", "B", "C", "D"]
    evaluated_at: Instant


EVENTS: tuple[type[Event], ...] = (
    PlannedOutagePublished, PlannedOutageChanged, PlannedOutageCancelled, FaultOutageDetected, RestorationEstimated,
    OutageSupplyRestored, SiteCleared, ContractorEvaluated,
)  # fmt: skip
