"""What inspection hears."""

from services.contracts.inspection import HazardFound
from services.contracts.metering import EquipmentReadingRecorded
from services.contracts.notify import MessageDelivered
from services.contracts.portrait import CustomerProfileChanged
from services.inspection.actions import customers, equipment, hazards
from services.kernel.work import UnitOfWork


async def on_profile_changed(event: CustomerProfileChanged, *, work: UnitOfWork) -> None:
    """View of customers, sites and assets; moves due dates where class, grade or attention moved."""
    await customers.store_profile(work, profile=event)


async def on_profile_removed(key: str, *, work: UnitOfWork) -> None:
    """Forgets the customer and its plan."""
    await customers.forget_customer(work, customer_id=key)


async def on_equipment_reading(event: EquipmentReadingRecorded, *, work: UnitOfWork) -> None:
    """A frozen measurement or an oil temperature past its limit opens one suspected hazard per asset and item."""
    await equipment.take_readings(work, reading=event)


async def on_message_delivered(event: MessageDelivered, *, work: UnitOfWork) -> None:
    """The first message about a hazard that arrived makes it notified."""
    if event.cause_type == HazardFound.TYPE:
        await hazards.mark_notified(work, hazard_id=event.subject_id)
