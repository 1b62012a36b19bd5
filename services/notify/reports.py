"""Turns the events of the other services into happenings that people are told of."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select

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
from services.kernel.work import Cause, UnitOfWork
from services.notify.delivery.happenings import Happening, release, tell, tell_all
from services.notify.policy.classes import class_of
from services.notify.policy.planning import Place
from services.notify.tables import customer

_PART_HERE = """
INSERT INTO notify.set_part (set_id, set_version, part) SELECT * FROM unnest($1::text[], $2::bigint[], $3::int[])
ORDER BY 1, 2, 3 ON CONFLICT DO NOTHING"""
_PARTS = """
SELECT set_id, set_version, count(*) AS here FROM notify.set_part
WHERE (set_id, set_version) IN (SELECT * FROM unnest($1::text[], $2::bigint[])) GROUP BY set_id, set_version"""
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


@dataclass(frozen=True, kw_only=True)
class OutagePart:
    """One part of the customers whom an outage touches, as an event brought it."""

    subject_id: str
    at: datetime
    part: AffectedPart
    facts: dict[str, Any]
    occasion: str = ""
    cause: Cause | None = None


async def outages(work: UnitOfWork, *, event_class: str, parts: Sequence[OutagePart], hold: timedelta) -> None:
    """Messages wait for the rest of their set, but not longer than `hold`; with its last part they go."""
    complete = await _complete(work, event_class, [p.part for p in parts])
    happenings = [
        Happening(
            event_class=event_class, subject_id=p.subject_id, occasion=p.occasion, event_at=p.at, facts=p.facts,
            customers=frozenset(a.customer_id for a in p.part.affected),
            places=frozenset(Place(customer_id=a.customer_id, account_id=a.account_id) for a in p.part.affected),
            part=f"{p.part.set_version}.{p.part.part}", hold_until=None if whole else work.now + hold, cause=p.cause,
        )
        for p, whole in zip(parts, complete, strict=True)
    ]  # fmt: skip
    if telling := [h for h, p in zip(happenings, parts, strict=True) if p.part.affected]:
        await tell_all(work, happenings=telling)
    if whole := [h for h, done in zip(happenings, complete, strict=True) if done]:
        await release(work, happenings=whole)


async def planned_outage(work: UnitOfWork, *, event: PlannedOutage, hold: timedelta, occasion: str = "") -> None:
    facts = {
        "at": event.starts_at.isoformat(), "until": event.ends_at.isoformat(), "reason": event.reason,
        "version": event.version,  # what the message proves: knowledge of this window
    }  # fmt: skip
    part = OutagePart(
        subject_id=event.outage_id, at=work.now, part=event.affected, facts=facts, occasion=occasion
    )  # fmt: skip
    await outages(work, event_class=class_of(event), parts=[part], hold=hold)


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


async def _complete(work: UnitOfWork, event_class: str, parts: Sequence[AffectedPart]) -> list[bool]:
    """Of each part's set: whether all its parts are here now."""
    connection = await work.raw()
    sets = [(f"{event_class}|{p.set_id}", p.set_version) for p in parts]
    ids, versions = [s for s, _ in sets], [v for _, v in sets]
    await connection.execute(_PART_HERE, ids, versions, [p.part for p in parts])
    here = {(r["set_id"], r["set_version"]): r["here"] for r in await connection.fetch(_PARTS, ids, versions)}
    return [here[key] >= p.parts for key, p in zip(sets, parts, strict=True)]
