"""The face of notify: people, posts, messages, tickets."""

from services.contracts.inspection import HazardClosed, HazardFound, HazardOverdue, HazardRectified, HazardVoided
from services.contracts.marketing import PersonChanged
from services.contracts.notify import (
    EngagementsChanged,
    MessageAccepted,
    MessageAcknowledged,
    MessageDelivered,
    MessageFailed,
    MessageOpened,
    PostAssigned,
    TicketClosed,
    TicketOpened,
)
from services.contracts.organisation import PostChanged, UnitChanged
from services.contracts.outage import FaultOutageDetected, OutageSupplyRestored, PlannedOutagePublished
from services.contracts.portrait import CustomerProfileChanged, CustomerReclassified, EfficiencyScored
from services.kernel.broker import TopicSpec
from services.kernel.door import door_router
from services.kernel.manifest import Consumes, Service
from services.notify import api, callbacks, events_in, tables
from services.notify.delivery.assembly import sending

RELAYED = (PersonChanged, UnitChanged, PostChanged)

SERVICE = Service(
    name="notify",
    title_zh="通知协同",
    title_en="Notification and directory",
    consumes=(
        Consumes(event=UnitChanged, handler=events_in.on_unit_changed, deletion=events_in.on_unit_removed),
        Consumes(event=PostChanged, handler=events_in.on_post_changed, deletion=events_in.on_post_removed),
        Consumes(event=PersonChanged, handler=events_in.on_person_changed, deletion=events_in.on_person_removed),
        Consumes(
            event=CustomerProfileChanged,
            handler=events_in.on_customer_profile_changed,
            deletion=events_in.on_customer_removed,
        ),
        Consumes(event=HazardFound, handler=events_in.on_hazard_found),
        Consumes(event=HazardRectified, handler=events_in.on_hazard_rectified),
        Consumes(event=HazardClosed, handler=events_in.on_hazard_closed),
        Consumes(event=HazardVoided, handler=events_in.on_hazard_voided),
        Consumes(event=HazardOverdue, handler=events_in.on_hazard_overdue),
        Consumes(event=FaultOutageDetected, handler=events_in.on_fault_outage),
        Consumes(event=OutageSupplyRestored, handler=events_in.on_supply_restored),
        Consumes(event=PlannedOutagePublished, handler=events_in.on_planned_outage),
        Consumes(event=EfficiencyScored, handler=events_in.on_efficiency_scored),
        Consumes(event=CustomerReclassified, handler=events_in.on_customer_reclassified),
    ),
    publishes=(
        PostAssigned,
        EngagementsChanged,
        MessageAccepted,
        MessageDelivered,
        MessageOpened,
        MessageAcknowledged,
        MessageFailed,
        TicketOpened,
        TicketClosed,
    ),
    relays=RELAYED,
    topics=(
        TopicSpec(name="notify-directory", partitions=3, compacted=True),
        TopicSpec(name="notify-deliveries", partitions=6, retention_days=30),
        TopicSpec(name="notify-tickets", partitions=3, retention_days=30),
        TopicSpec(name="marketing-contacts", partitions=3, compacted=True),
        TopicSpec(name="organisation", partitions=3, compacted=True),
    ),
    metadata=tables.metadata,
    owned=tables.OWNED,
    routers=(api.router, callbacks.router, door_router(service="notify", events=RELAYED)),
    start=sending,
)
