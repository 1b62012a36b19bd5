"""What inspection says."""

from services.contracts.envelope import Event
from services.contracts.inspection import (
    HazardClosed,
    HazardConfirmed,
    HazardFound,
    HazardNotified,
    HazardOverdue,
    HazardRectified,
    HazardVerified,
    HazardVoided,
    InspectionScheduled,
    InspectionSubmitted,
)
from services.kernel.broker import TopicSpec

EVENTS: tuple[type[Event], ...] = (
    HazardFound, HazardNotified, HazardConfirmed, HazardVoided, HazardRectified, HazardVerified, HazardClosed,
    HazardOverdue, InspectionScheduled, InspectionSubmitted,
)  # fmt: skip
TOPICS = (
    TopicSpec(name="inspection-hazards", partitions=6, retention_days=14),
    TopicSpec(name="inspection-visits", partitions=6, retention_days=14),
    TopicSpec(name="metering-equipment", partitions=6, retention_days=14),
)
