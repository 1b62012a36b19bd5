"""What inspection hears."""

from services.contracts.inspection import HazardFound
from services.contracts.metering import EquipmentReadingRecorded
from services.contracts.notify import MessageDelivered
from services.contracts.portrait import CustomerProfileChanged
from services.inspection.actions import customers, equipment, hazards
from services.kernel.work import UnitOfWork


async def on_profile_changed(event: CustomerProfileChanged, *, work: UnitOfWork) -> None:
    await customers.store_profile(work, profile=event)


async def on_profile_removed(key: str, *, work: UnitOfWork) -> None:
    await customers.forget_customer(work, customer_id=key)


async def on_equipment_reading(event: EquipmentReadingRecorded, *, work: UnitOfWork) -> None:
    await equipment.take_readings(work, reading=event)


async def on_message_delivered(event: MessageDelivered, *, work: UnitOfWork) -> None:
    if event.cause_type == HazardFound.TYPE:
        await hazards.mark_notified(work, hazard_id=event.subject_id)
