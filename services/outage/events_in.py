"""What outage hears. Every handler is safe to run twice."""

from services.contracts.grid import FaultDetected, FeederChanged, FeederLoadRecorded, SupplyRestored
from services.contracts.metering import LastGaspReceived, PowerRestored
from services.contracts.notify import MessageAccepted, MessageDelivered
from services.contracts.portrait import CustomerProfileChanged
from services.kernel.work import UnitOfWork
from services.outage import incidents, views


async def on_profile_changed(event: CustomerProfileChanged, *, work: UnitOfWork) -> None:
    await views.store_profile(work, profile=event)
    await incidents.add_points_now_known(work, usage_point_ids=[p.usage_point_id for p in event.usage_points])


async def on_profile_deleted(key: str, *, work: UnitOfWork) -> None:
    await views.forget_customer(work, customer_id=key)


async def on_feeder_changed(event: FeederChanged, *, work: UnitOfWork) -> None:
    await views.store_feeder(work, changed=event)


async def on_feeder_deleted(key: str, *, work: UnitOfWork) -> None:
    await views.forget_feeder(work, feeder_id=key)


async def on_feeder_load(event: FeederLoadRecorded, *, work: UnitOfWork) -> None:
    await views.store_load(work, recorded=event)


async def on_fault_detected(event: FaultDetected, *, work: UnitOfWork) -> None:
    await incidents.detect(work, fault=event)


async def on_supply_restored(event: SupplyRestored, *, work: UnitOfWork) -> None:
    await incidents.restore(work, restored=event)


async def on_last_gasp(event: LastGaspReceived, *, work: UnitOfWork) -> None:
    await views.store_alarm(work, usage_point_id=event.usage_point_id, column="lost_at", at=event.occurred_at)


async def on_power_restored(event: PowerRestored, *, work: UnitOfWork) -> None:
    await views.store_alarm(work, usage_point_id=event.usage_point_id, column="back_at", at=event.occurred_at)


async def on_message_accepted(event: MessageAccepted, *, work: UnitOfWork) -> None:
    await views.store_notice(work, message=event, column="accepted_at")


async def on_message_delivered(event: MessageDelivered, *, work: UnitOfWork) -> None:
    await views.store_notice(work, message=event, column="delivered_at")
