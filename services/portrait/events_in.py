"""What portrait hears. Every handler stores a fact and has its customer looked at anew."""

from services.contracts import inspection as said
from services.contracts.marketing import (
    ApplicationProgressed,
    ArrearsCleared,
    ArrearsOpened,
    BillCancelled,
    BillIssued,
    CustomerChanged,
    ViolationRecorded,
)
from services.contracts.notify import ConversationAnswered, ConversationOpened, TicketOpened
from services.contracts.outage import (
    FaultOutageDetected,
    OutageSupplyRestored,
    PlannedOutageCancelled,
    PlannedOutageChanged,
    PlannedOutagePublished,
)
from services.kernel.work import UnitOfWork
from services.portrait.customers import archive, arrears, happenings, outages


async def on_customer_changed(event: CustomerChanged, *, work: UnitOfWork) -> None:
    await archive.take_customer(work, changed=event)


async def on_customer_removed(key: str, *, work: UnitOfWork) -> None:
    await archive.remove_customer(work, customer_id=key)


async def on_bill_issued(event: BillIssued, *, work: UnitOfWork) -> None:
    await happenings.take_bill(work, bill=event)


async def on_bill_cancelled(event: BillCancelled, *, work: UnitOfWork) -> None:
    await happenings.cancel_bill(work, bill=event)


async def on_violation_recorded(event: ViolationRecorded, *, work: UnitOfWork) -> None:
    await happenings.take_violation(work, violation=event)


async def on_application_progressed(event: ApplicationProgressed, *, work: UnitOfWork) -> None:
    await happenings.take_application(work, application=event)


async def on_inspection_submitted(event: said.InspectionSubmitted, *, work: UnitOfWork) -> None:
    await happenings.take_contact(
        work, contact_id=f"visit:{event.visit_id}", customer_id=event.customer_id, occurred_at=event.submitted_at
    )


async def on_hazard_found(event: said.HazardFound, *, work: UnitOfWork) -> None:
    await happenings.take_hazard(work, hazard=event)


async def on_hazard_notified(event: said.HazardNotified, *, work: UnitOfWork) -> None:
    await happenings.take_hazard(work, hazard=event)


async def on_hazard_confirmed(event: said.HazardConfirmed, *, work: UnitOfWork) -> None:
    await happenings.take_hazard(work, hazard=event)


async def on_hazard_rectified(event: said.HazardRectified, *, work: UnitOfWork) -> None:
    await happenings.take_hazard(work, hazard=event)


async def on_hazard_verified(event: said.HazardVerified, *, work: UnitOfWork) -> None:
    await happenings.take_hazard(work, hazard=event)


async def on_hazard_closed(event: said.HazardClosed, *, work: UnitOfWork) -> None:
    await happenings.take_hazard(work, hazard=event)


async def on_hazard_overdue(event: said.HazardOverdue, *, work: UnitOfWork) -> None:
    await happenings.take_hazard(work, hazard=event)


async def on_hazard_escalated(event: said.HazardEscalated, *, work: UnitOfWork) -> None:
    await happenings.take_hazard(work, hazard=event)


async def on_hazard_voided(event: said.HazardVoided, *, work: UnitOfWork) -> None:
    await happenings.take_hazard(work, hazard=event)


async def on_fault_outage(event: FaultOutageDetected, *, work: UnitOfWork) -> None:
    await outages.take_outage(
        work, outage_id=event.outage_id, kind="fault", started_at=event.detected_at, affected=event.affected
    )


async def on_supply_restored(event: OutageSupplyRestored, *, work: UnitOfWork) -> None:
    await outages.take_outage(
        work,
        outage_id=event.outage_id,
        kind="fault",
        started_at=event.detected_at,
        ended_at=event.restored_at,
        affected=event.affected,
    )


async def on_planned_outage(event: PlannedOutagePublished, *, work: UnitOfWork) -> None:
    await outages.take_outage(
        work, outage_id=event.outage_id, kind="planned", started_at=event.starts_at, affected=event.affected
    )


async def on_planned_outage_changed(event: PlannedOutageChanged, *, work: UnitOfWork) -> None:
    await outages.take_outage(
        work, outage_id=event.outage_id, kind="planned", started_at=event.starts_at, affected=event.affected
    )


async def on_planned_outage_cancelled(event: PlannedOutageCancelled, *, work: UnitOfWork) -> None:
    await outages.take_outage(
        work,
        outage_id=event.outage_id,
        kind="planned",
        started_at=event.starts_at,
        affected=event.affected,
        cancelled=True,
    )


async def on_arrears_opened(event: ArrearsOpened, *, work: UnitOfWork) -> None:
    await arrears.open_arrears(work, opened=event)


async def on_arrears_cleared(event: ArrearsCleared, *, work: UnitOfWork) -> None:
    await arrears.clear_arrears(work, cleared=event)


async def on_ticket_opened(event: TicketOpened, *, work: UnitOfWork) -> None:
    await happenings.take_contact(
        work,
        contact_id=f"ticket:{event.ticket_id}",
        customer_id=event.customer_id,
        occurred_at=event.occurred_at,
        complaint=event.kind == "complaint",
    )


async def on_conversation_opened(event: ConversationOpened, *, work: UnitOfWork) -> None:
    await happenings.take_contact(
        work,
        contact_id=f"conversation:{event.conversation_id}",
        customer_id=event.customer_id,
        occurred_at=event.occurred_at,
    )


async def on_conversation_answered(event: ConversationAnswered, *, work: UnitOfWork) -> None:
    await happenings.take_contact(
        work,
        contact_id=f"conversation:{event.conversation_id}",
        customer_id=event.customer_id,
        occurred_at=event.occurred_at,
        breached=not event.within_promise,
    )
