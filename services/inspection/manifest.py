"""Inspection: what it hears, says, stores and serves."""

from services.contracts.metering import EquipmentReadingRecorded
from services.contracts.notify import MessageDelivered
from services.contracts.portrait import CustomerProfileChanged
from services.inspection import api, events_in, events_out, jobs, tables
from services.kernel.auth.directory import directory_consumes
from services.kernel.door import door_router
from services.kernel.manifest import Consumes, Service

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
    publishes=events_out.EVENTS,
    relays=_RELAYS,
    topics=events_out.TOPICS,
    metadata=tables.metadata,
    owned=tables.OWNED,
    jobs=(jobs.OVERDUE,),
    routers=(api.router, door_router(service="inspection", events=_RELAYS)),
)
