"""What outage hears. Every handler is safe to run twice."""

from services.contracts.grid import FaultDetected, FeederChanged, FeederLoadRecorded, SupplyRestored
from services.contracts.metering import LastGaspReceived, PowerRestored
from services.contracts.notify import MessageAccepted, MessageDelivered, PlannedNoticeProven, PlannedNoticeUnproven
from services.contracts.portrait import CustomerProfileChanged
from services.kernel.work import UnitOfWork
from services.outage import incidents, views
from services.outage.planned import notices


async def on_profile_changed(event: CustomerProfileChanged, *, work: UnitOfWork) -> None:
    """View of customers and usage points; points that lost supply before their owner was known join their outage."""
    await views.store_profile(work, profile=event)
    await incidents.add_points_now_known(work, usage_point_ids=[p.usage_point_id for p in event.usage_points])


async def on_profile_deleted(key: str, *, work: UnitOfWork) -> None:
    """Forgets the customer; outages it went through stay."""
    await views.forget_customer(work, customer_id=key)


async def on_feeder_changed(event: FeederChanged, *, work: UnitOfWork) -> None:
    """View of feeders and sections; wakes faults that waited for them."""
    await views.store_feeder(work, changed=event)


async def on_feeder_deleted(key: str, *, work: UnitOfWork) -> None:
    """Forgets the feeder."""
    await views.forget_feeder(work, feeder_id=key)


async def on_feeder_load(event: FeederLoadRecorded, *, work: UnitOfWork) -> None:
    """Newest load of a feeder."""
    await views.store_load(work, recorded=event)


async def on_fault_detected(event: FaultDetected, *, work: UnitOfWork) -> None:
    """Opens one outage per fault; waits for an unknown feeder or section."""
    await incidents.detect(work, fault=event)


async def on_supply_restored(event: SupplyRestored, *, work: UnitOfWork) -> None:
    """Closes it; waits for an unknown fault; a restoration before its fault is a dead letter."""
    await incidents.restore(work, restored=event)


async def on_last_gasp(event: LastGaspReceived, *, work: UnitOfWork) -> None:
    """The meter's own last words, beside the affected point; waits for an unknown usage point."""
    await views.store_alarm(work, usage_point_id=event.usage_point_id, column="lost_at", at=event.occurred_at)


async def on_power_restored(event: PowerRestored, *, work: UnitOfWork) -> None:
    """The same for the return of supply."""
    await views.store_alarm(work, usage_point_id=event.usage_point_id, column="back_at", at=event.occurred_at)


async def on_message_accepted(event: MessageAccepted, *, work: UnitOfWork) -> None:
    """Proof of notice: who was told of which outage, when."""
    await views.store_notice(work, message=event, column="accepted_at")


async def on_message_delivered(event: MessageDelivered, *, work: UnitOfWork) -> None:
    """The same, when it arrived."""
    await views.store_notice(work, message=event, column="delivered_at")


async def on_notice_unproven(event: PlannedNoticeUnproven, *, work: UnitOfWork) -> None:
    """Holds the plan back: nobody can show that the customer knows."""
    await notices.block(work, unproven=event)


async def on_notice_proven(event: PlannedNoticeProven, *, work: UnitOfWork) -> None:
    """Lets the plan go for this customer, unless the customer learned it too late."""
    await notices.unblock(work, proven=event)
