"""Inspection: what it hears, says, stores and serves."""

from datetime import timedelta

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
from services.contracts.metering import EquipmentReadingRecorded
from services.contracts.notify import MessageDelivered
from services.contracts.portrait import CustomerProfileChanged
from services.inspection import api, events_in, jobs, metrics, tables
from services.kernel.auth.directory import directory_consumes
from services.kernel.broker import TopicSpec
from services.kernel.door import door_router
from services.kernel.manifest import Consumes, Job, Service

_RELAYS = (EquipmentReadingRecorded,)

SERVICE = Service(
    name="inspection",
    title_zh="用电检查",
    title_en="Inspection",
    consumes=(
        Consumes(
            event=CustomerProfileChanged,
            handler=events_in.on_profile_changed,
            deletion=events_in.on_profile_removed,
        ),
        Consumes(event=EquipmentReadingRecorded, handler=events_in.on_equipment_reading),
        Consumes(event=MessageDelivered, handler=events_in.on_message_delivered),
        *directory_consumes(),
    ),
    publishes=(
        HazardFound,
        HazardNotified,
        HazardConfirmed,
        HazardVoided,
        HazardRectified,
        HazardVerified,
        HazardClosed,
        HazardOverdue,
        InspectionScheduled,
        InspectionSubmitted,
    ),
    relays=_RELAYS,
    topics=(
        TopicSpec(name="inspection-hazards", partitions=6, retention_days=14),
        TopicSpec(name="inspection-visits", partitions=6, retention_days=14),
        TopicSpec(name="metering-equipment", partitions=6, retention_days=14),
    ),
    metadata=tables.metadata,
    owned=tables.OWNED,
    jobs=(Job(name="hazards-overdue", every=timedelta(minutes=1), run=jobs.say_overdue),),
    observe=metrics.observe,
    routers=(api.router, door_router(service="inspection", events=_RELAYS)),
)
