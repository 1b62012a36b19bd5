"""Turns the events of the other services into happenings that people are told of."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert as upsert

from services.contracts.inspection import (
    HazardClosed,
    HazardEscalated,
    HazardFound,
    HazardOverdue,
    HazardRectified,
    HazardVoided,
)
from services.contracts.outage import (
    AffectedPart,
    PlannedOutageCancelled,
    PlannedOutageChanged,
    PlannedOutagePublished,
    RestorationEstimated,
)
from services.contracts.portrait import (
    CustomerAssigned,
    CustomerReclassified,
    EfficiencyScored,
    UsageWarningCleared,
    UsageWarningRaised,
)
from services.kernel.wire import WaitingFor
from services.kernel.work import UnitOfWork
from services.notify.delivery.happenings import Happening, release, tell
from services.notify.policy.classes import class_of
from services.notify.policy.planning import Place
from services.notify.tables import customer, set_part

Hazard = HazardFound | HazardRectified | HazardClosed | HazardOverdue | HazardVoided | HazardEscalated
PlannedOutage = PlannedOutagePublished | PlannedOutageChanged | PlannedOutageCancelled


async def hazard(work: UnitOfWork, *, event: Hazard, event_class: str, occasion: str = "") -> None:
    await _known(work, event.customer_id)
    places = {Place(customer_id=event.customer_id, account_id=event.account_id)} if event.account_id else set()
    await tell(
        work,
        happening=Happening(
            event_class=event_class, subject_id=event.hazard_id, occasion=occasion,
            customers=frozenset({event.customer_id}), places=frozenset(places), event_at=event.occurred_at,
            facts={
                "finding": event.finding, "grade": event.grade, "at": event.occurred_at.isoformat(),
                "until": event.deadline.isoformat(),
            },
        ),
    )  # fmt: skip


async def outage(
    work: UnitOfWork, *, event_class: str, subject_id: str, at: datetime, part: AffectedPart, facts: dict[str, Any],
    hold: timedelta, occasion: str = "",
) -> None:  # fmt: skip
    """Messages wait for the rest of the set, but not longer than `hold`; with its last part they go."""
    complete = await _all_parts(work, event_class, part)
    happening = Happening(
        event_class=event_class, subject_id=subject_id, occasion=occasion, event_at=at, facts=facts,
        customers=frozenset(a.customer_id for a in part.affected),
        places=frozenset(Place(customer_id=a.customer_id, account_id=a.account_id) for a in part.affected),
        part=f"{part.set_version}.{part.part}", hold_until=None if complete else work.now + hold,
    )  # fmt: skip
    if part.affected:
        await tell(work, happening=happening)
    if complete:
        await release(work, name=happening.name)


async def planned_outage(work: UnitOfWork, *, event: PlannedOutage, hold: timedelta, occasion: str = "") -> None:
    facts = {
        "at": event.starts_at.isoformat(), "until": event.ends_at.isoformat(), "reason": event.reason,
        "version": event.version,  # what the message proves: knowledge of this window
    }  # fmt: skip
    await outage(
        work, event_class=class_of(event), subject_id=event.outage_id, at=work.now, part=event.affected, facts=facts,
        hold=hold, occasion=occasion,
    )  # fmt: skip


async def restoration_estimated(work: UnitOfWork, *, event: RestorationEstimated) -> None:
    """Goes to all who were told of the fault; a new estimate is a new message."""
    await tell(
        work,
        happening=Happening(
            event_class="restoration-estimated", subject_id=event.outage_id, customers=frozenset(),
            occasion=event.expected_at.isoformat(), event_at=event.estimated_at,
            facts={"expected": event.expected_at.isoformat()},
        ),
    )  # fmt: skip


async def score(work: UnitOfWork, *, event: EfficiencyScored) -> None:
    """A month without a score is the manager's work, not a message to the customer."""
    await _known(work, event.customer_id)
    if event.score is None:
        return
    await tell(
        work,
        happening=Happening(
            event_class="efficiency-scored", subject_id=event.customer_id, occasion=event.month,
            customers=frozenset({event.customer_id}), event_at=work.now,
            facts={"month": event.month, "score": f"{event.score:.1f}", "band": event.band or "-"},
        ),
    )  # fmt: skip


async def reclassification(work: UnitOfWork, *, event: CustomerReclassified) -> None:
    """Internal: goes to the account manager, never to the customer's people."""
    await _known(work, event.customer_id)
    await tell(
        work,
        happening=Happening(
            event_class="reclassified", subject_id=event.customer_id, occasion=str(event.profile_version),
            customers=frozenset({event.customer_id}), event_at=event.occurred_at,
            facts={
                "before": list(event.classes_before), "after": list(event.classes_after),
                "attention_before": event.attention_before, "attention_after": event.attention_after,
                "reasons": "；".join(event.reasons), "at": event.occurred_at.isoformat(),
            },
        ),
    )  # fmt: skip


async def assignment(work: UnitOfWork, *, event: CustomerAssigned) -> None:
    """Internal: goes to the assignee alone, the many of a bulk order as one message in the morning."""
    await _known(work, event.customer_id)
    await tell(
        work,
        happening=Happening(
            event_class=class_of(event), subject_id=event.assignment_id, customers=frozenset(),
            people={event.assignee_person_id: event.customer_id}, event_at=event.occurred_at,
            facts={"purpose": event.purpose, "due_on": event.due_on.isoformat()},
        ),
    )  # fmt: skip


async def usage_warning(work: UnitOfWork, *, event: UsageWarningRaised) -> None:
    await _known(work, event.customer_id)
    unit = f" {event.unit}" if event.unit else ""
    await tell(
        work,
        happening=Happening(
            event_class=class_of(event), subject_id=event.warning_id, occasion=str(event.ordinal),
            customers=frozenset({event.customer_id}), event_at=event.raised_at,
            places=frozenset({Place(customer_id=event.customer_id, account_id=event.account_id)}),
            facts={
                "warning": f"{event.warning_kind}:{event.level}", "value": f"{event.value.normalize():f}{unit}",
                "limit": f"{event.limit.normalize():f}{unit}", "at": (event.data_until or event.raised_at).isoformat(),
            },
        ),
    )  # fmt: skip


async def usage_warning_cleared(work: UnitOfWork, *, event: UsageWarningCleared) -> None:
    """The end of a month clears every warning by itself and is no news."""
    await _known(work, event.customer_id)
    if event.because == "month-ended":
        return
    await tell(
        work,
        happening=Happening(
            event_class=class_of(event), subject_id=event.warning_id, customers=frozenset({event.customer_id}),
            places=frozenset({Place(customer_id=event.customer_id, account_id=event.account_id)}),
            event_at=event.cleared_at, facts={"warning": event.warning_kind, "at": event.cleared_at.isoformat()},
        ),
    )  # fmt: skip


async def _known(work: UnitOfWork, customer_id: str) -> None:
    query = select(customer.c.customer_id).where(customer.c.customer_id == customer_id)
    if (await work.db.execute(query)).first() is None:
        raise WaitingFor("customer", customer_id)


async def _all_parts(work: UnitOfWork, event_class: str, part: AffectedPart) -> bool:
    set_id = f"{event_class}|{part.set_id}"
    row = {"set_id": set_id, "set_version": part.set_version, "part": part.part}
    await work.db.execute(upsert(set_part).values(**row).on_conflict_do_nothing())
    here = select(func.count()).where(set_part.c.set_id == set_id, set_part.c.set_version == part.set_version)
    return (await work.db.execute(here)).scalar_one() >= part.parts
