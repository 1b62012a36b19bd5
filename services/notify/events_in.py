"""What notify hears. Directory first, then everything that people have to be told."""

from collections.abc import Sequence
from datetime import timedelta

from services.contracts.inspection import (
    HazardClosed,
    HazardEscalated,
    HazardFound,
    HazardOverdue,
    HazardRectified,
    HazardVoided,
)
from services.contracts.marketing import (
    ApplicationProgressed,
    ArrearsCleared,
    ArrearsOpened,
    BillCancelled,
    BillIssued,
    PaymentRecorded,
    PersonChanged,
)
from services.contracts.organisation import LeaveChanged, PostChanged, UnitChanged
from services.contracts.outage import (
    FaultOutageDetected,
    OutageSupplyRestored,
    PlannedOutageCancelled,
    PlannedOutageChanged,
    PlannedOutagePublished,
    RestorationEstimated,
)
from services.contracts.portrait import (
    CustomerAssigned,
    CustomerProfileChanged,
    CustomerReclassified,
    EfficiencyScored,
    MonthlyUsageComputed,
    ScoreDisputed,
    UsageWarningCleared,
    UsageWarningRaised,
)
from services.kernel.manifest import Heard
from services.kernel.work import UnitOfWork
from services.notify import billing, reports
from services.notify.conversation import disputes
from services.notify.delivery import notices
from services.notify.directory import absence, customers, persons, posts

HOLD_FOR_PARTS = timedelta(seconds=1)


async def on_unit_changed(event: UnitChanged, *, work: UnitOfWork) -> None:
    await posts.store_unit(work, event=event)


async def on_unit_removed(key: str, *, work: UnitOfWork) -> None:
    await posts.remove_unit(work, unit_id=key)


async def on_post_changed(event: PostChanged, *, work: UnitOfWork) -> None:
    await posts.store_post(work, event=event)


async def on_post_removed(key: str, *, work: UnitOfWork) -> None:
    await posts.remove_post(work, post_id=key)


async def on_leave_changed(event: LeaveChanged, *, work: UnitOfWork) -> None:
    await absence.store_leave(work, event=event)


async def on_leave_removed(key: str, *, work: UnitOfWork) -> None:
    await absence.remove_leave(work, leave_id=key)


async def on_person_changed(event: PersonChanged, *, work: UnitOfWork) -> None:
    await persons.store_person(work, event=event)
    await persons.change_engagements(work, event=event)


async def on_person_removed(key: str, *, work: UnitOfWork) -> None:
    await persons.remove_person(work, person_id=key)


async def on_customer_profile_changed(event: CustomerProfileChanged, *, work: UnitOfWork) -> None:
    await customers.store_customer(work, profile=event)


async def on_customer_removed(key: str, *, work: UnitOfWork) -> None:
    await customers.remove_customer(work, customer_id=key)


async def on_hazard_found(event: HazardFound, *, work: UnitOfWork) -> None:
    await reports.hazard(work, event=event, event_class="hazard-suspected" if event.suspected else "hazard-found")


async def on_hazard_rectified(event: HazardRectified, *, work: UnitOfWork) -> None:
    await reports.hazard(work, event=event, event_class="hazard-rectified", occasion=str(event.version))


async def on_hazard_closed(event: HazardClosed, *, work: UnitOfWork) -> None:
    await reports.hazard(work, event=event, event_class="hazard-closed")


async def on_hazard_voided(event: HazardVoided, *, work: UnitOfWork) -> None:
    await reports.hazard(work, event=event, event_class="hazard-voided")


async def on_hazard_overdue(event: HazardOverdue, *, work: UnitOfWork) -> None:
    await reports.hazard(work, event=event, event_class="hazard-overdue", occasion=str(event.version))


async def on_hazard_escalated(event: HazardEscalated, *, work: UnitOfWork) -> None:
    await reports.hazard(work, event=event, event_class="hazard-escalated", occasion=str(event.version))


async def on_fault_outage(event: FaultOutageDetected, *, work: UnitOfWork) -> None:
    await on_fault_outages([Heard(event, work.cause)], work=work)


async def on_fault_outages(heard: Sequence[Heard[FaultOutageDetected]], *, work: UnitOfWork) -> None:
    parts = [
        reports.OutagePart(
            subject_id=event.outage_id, at=event.detected_at, part=event.affected, cause=cause,
            facts={"at": event.detected_at.isoformat()},
        )
        for event, cause in heard
    ]  # fmt: skip
    await reports.outages(work, event_class="fault-outage", parts=parts, hold=HOLD_FOR_PARTS)


async def on_supply_restored(event: OutageSupplyRestored, *, work: UnitOfWork) -> None:
    await on_supplies_restored([Heard(event, work.cause)], work=work)


async def on_supplies_restored(heard: Sequence[Heard[OutageSupplyRestored]], *, work: UnitOfWork) -> None:
    parts = [
        reports.OutagePart(
            subject_id=event.outage_id, at=event.restored_at, part=event.affected, cause=cause,
            facts={"at": event.restored_at.isoformat()},
        )
        for event, cause in heard
    ]  # fmt: skip
    await reports.outages(work, event_class="supply-restored", parts=parts, hold=HOLD_FOR_PARTS)


async def on_restoration_estimated(event: RestorationEstimated, *, work: UnitOfWork) -> None:
    await reports.restoration_estimated(work, event=event)


async def on_planned_outage(event: PlannedOutagePublished, *, work: UnitOfWork) -> None:
    await notices.watch(work, plan=event)
    await reports.planned_outage(work, event=event, hold=HOLD_FOR_PARTS)


async def on_planned_outage_changed(event: PlannedOutageChanged, *, work: UnitOfWork) -> None:
    await notices.watch(work, plan=event)
    await reports.planned_outage(work, event=event, hold=HOLD_FOR_PARTS, occasion=str(event.version))


async def on_planned_outage_cancelled(event: PlannedOutageCancelled, *, work: UnitOfWork) -> None:
    await notices.watch(work, plan=event)
    await reports.planned_outage(work, event=event, hold=HOLD_FOR_PARTS)


async def on_efficiency_scored(event: EfficiencyScored, *, work: UnitOfWork) -> None:
    await reports.score(work, event=event)


async def on_score_disputed(event: ScoreDisputed, *, work: UnitOfWork) -> None:
    await disputes.open_for_dispute(work, event=event)


async def on_usage_warning_raised(event: UsageWarningRaised, *, work: UnitOfWork) -> None:
    await reports.usage_warning(work, event=event)


async def on_usage_warning_cleared(event: UsageWarningCleared, *, work: UnitOfWork) -> None:
    await reports.usage_warning_cleared(work, event=event)


async def on_customer_reclassified(event: CustomerReclassified, *, work: UnitOfWork) -> None:
    await reports.reclassification(work, event=event)


async def on_customer_assigned(event: CustomerAssigned, *, work: UnitOfWork) -> None:
    await reports.assignment(work, event=event)


async def on_usage_computed(event: MonthlyUsageComputed, *, work: UnitOfWork) -> None:
    await billing.usage_computed(work, event=event)


async def on_bill_issued(event: BillIssued, *, work: UnitOfWork) -> None:
    await billing.bill_issued(work, event=event)


async def on_bill_cancelled(event: BillCancelled, *, work: UnitOfWork) -> None:
    await billing.bill_cancelled(work, event=event)


async def on_payment_recorded(event: PaymentRecorded, *, work: UnitOfWork) -> None:
    await billing.payment_recorded(work, event=event)


async def on_arrears_opened(event: ArrearsOpened, *, work: UnitOfWork) -> None:
    await billing.arrears_opened(work, event=event)


async def on_arrears_cleared(event: ArrearsCleared, *, work: UnitOfWork) -> None:
    await billing.arrears_cleared(work, event=event)


async def on_application_progressed(event: ApplicationProgressed, *, work: UnitOfWork) -> None:
    await billing.application_progressed(work, event=event)
