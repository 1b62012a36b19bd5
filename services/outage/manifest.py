"""The service outage: what it hears, says, relays, stores and serves."""

from datetime import timedelta

from services.contracts.grid import FaultDetected, FeederChanged, FeederLoadRecorded, SupplyRestored, WeatherReported
from services.contracts.metering import LastGaspReceived, PowerRestored, VoltageSagRecorded
from services.contracts.notify import MessageAccepted, MessageDelivered, PlannedNoticeProven, PlannedNoticeUnproven
from services.contracts.outage import (
    FaultOutageDetected,
    OutageSupplyRestored,
    PlannedOutageCancelled,
    PlannedOutageChanged,
    PlannedOutagePublished,
    RestorationEstimated,
)
from services.contracts.portrait import CustomerProfileChanged
from services.kernel.auth.directory import directory_consumes
from services.kernel.broker import TopicSpec
from services.kernel.door import door_router
from services.kernel.manifest import Consumes, Job, Service
from services.kernel.veil import Veil
from services.outage import api, events_in, metrics, tables
from services.outage.planned import announcing
from services.outage.planned import api as planned_api

_RELAYED = (
    FeederChanged, FaultDetected, SupplyRestored, FeederLoadRecorded, WeatherReported, LastGaspReceived, PowerRestored,
    VoltageSagRecorded,
)  # fmt: skip

SERVICE = Service(
    name="outage",
    title_zh="停电协同",
    title_en="Outage coordination",
    consumes=(
        Consumes(
            event=CustomerProfileChanged, handler=events_in.on_profile_changed, deletion=events_in.on_profile_deleted
        ),
        Consumes(event=FeederChanged, handler=events_in.on_feeder_changed, deletion=events_in.on_feeder_deleted),
        Consumes(event=FeederLoadRecorded, handler=events_in.on_feeder_load),
        Consumes(event=FaultDetected, handler=events_in.on_fault_detected),
        Consumes(event=SupplyRestored, handler=events_in.on_supply_restored),
        Consumes(event=LastGaspReceived, handler=events_in.on_last_gasp),
        Consumes(event=PowerRestored, handler=events_in.on_power_restored),
        Consumes(event=MessageAccepted, handler=events_in.on_message_accepted),
        Consumes(event=MessageDelivered, handler=events_in.on_message_delivered),
        Consumes(event=PlannedNoticeUnproven, handler=events_in.on_notice_unproven),
        Consumes(event=PlannedNoticeProven, handler=events_in.on_notice_proven),
        *directory_consumes(),
    ),
    publishes=(
        FaultOutageDetected,
        RestorationEstimated,
        OutageSupplyRestored,
        PlannedOutagePublished,
        PlannedOutageChanged,
        PlannedOutageCancelled,
    ),
    relays=_RELAYED,
    topics=(
        TopicSpec(name="outage-incidents", partitions=6, retention_days=14),
        TopicSpec(name="outage-plans", partitions=6, retention_days=14),
        TopicSpec(name="grid-topology", partitions=6, compacted=True),
        TopicSpec(name="grid-faults", partitions=6, retention_days=14),
        TopicSpec(name="grid-loads", partitions=6, retention_days=7),
        TopicSpec(name="weather", partitions=3, retention_days=7),
        TopicSpec(name="metering-alarms", partitions=6, retention_days=7),
    ),
    metadata=tables.metadata,
    owned=tables.OWNED,
    observe=metrics.observe,
    veil=Veil(
        roles=frozenset({"analyst"}),
        identifiers={
            "customer_id": "customer",
            "account_id": "account",
            "usage_point_id": "usage-point",
            "person_id": "person",
        },
    ),
    routers=(api.router, planned_api.router, door_router(service="outage", events=_RELAYED)),
    jobs=(Job(name="publish-planned-outages", every=timedelta(seconds=5), run=announcing.say_unsaid),),
)
