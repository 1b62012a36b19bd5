"""What outage says: a set of affected accounts travels in parts of at most 1,000, in the order of priority."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from sqlalchemy import Row

from services.contracts.outage import (
    MAX_PART,
    Affected,
    AffectedPart,
    FaultOutageDetected,
    OutageSupplyRestored,
    PlannedOutageCancelled,
    PlannedOutageChanged,
    PlannedOutagePublished,
    RestorationEstimated,
)
from services.kernel.work import UnitOfWork
from services.outage.membership import Member


def parts_of(members: Sequence[Member], *, set_id: str, set_version: int) -> Iterator[AffectedPart]:
    """At least one part: a set of nobody is said as well."""
    cuts = [members[n : n + MAX_PART] for n in range(0, len(members), MAX_PART)] or [()]
    for number, cut in enumerate(cuts, start=1):
        affected = tuple(
            Affected(account_id=m.account_id, customer_id=m.customer_id, usage_point_id=m.usage_point_id) for m in cut
        )
        yield AffectedPart(set_id=set_id, set_version=set_version, part=number, parts=len(cuts), affected=affected)


def say_detected(work: UnitOfWork, *, outage: Row[tuple[object, ...]], members: Sequence[Member]) -> None:
    for part in parts_of(members, set_id=outage.outage_id, set_version=outage.set_version):
        work.emit(
            FaultOutageDetected(
                outage_id=outage.outage_id,
                feeder_id=outage.feeder_id,
                fault_id=outage.fault_id,
                detected_at=outage.detected_at,
                affected=part,
            )
        )


def say_restored(work: UnitOfWork, *, outage: Row[tuple[object, ...]], members: Sequence[Member]) -> None:
    for part in parts_of(members, set_id=outage.outage_id, set_version=outage.set_version):
        work.emit(
            OutageSupplyRestored(
                outage_id=outage.outage_id,
                feeder_id=outage.feeder_id,
                fault_id=outage.fault_id,
                detected_at=outage.detected_at,
                restored_at=outage.restored_at,
                affected=part,
            )
        )


def say_estimated(work: UnitOfWork, *, outage: Row[tuple[object, ...]], expected_at: datetime) -> None:
    work.emit(
        RestorationEstimated(
            outage_id=outage.outage_id,
            feeder_id=outage.feeder_id,
            fault_id=outage.fault_id,
            estimated_at=work.now,
            expected_at=expected_at,
        )
    )


def say_planned(work: UnitOfWork, *, plan: Row[tuple[object, ...]], members: Sequence[Member]) -> None:
    _say_plan(PlannedOutagePublished, work, plan, members)


def say_plan_changed(work: UnitOfWork, *, plan: Row[tuple[object, ...]], members: Sequence[Member]) -> None:
    _say_plan(PlannedOutageChanged, work, plan, members)


def say_plan_cancelled(work: UnitOfWork, *, plan: Row[tuple[object, ...]], members: Sequence[Member]) -> None:
    """With the window that was announced; its reason is why it does not take place."""
    _say_plan(PlannedOutageCancelled, work, plan, members)


def _say_plan(
    kind: type[PlannedOutagePublished | PlannedOutageChanged | PlannedOutageCancelled],
    work: UnitOfWork,
    plan: Row[tuple[object, ...]],
    members: Sequence[Member],
) -> None:
    for part in parts_of(members, set_id=plan.outage_id, set_version=plan.version):
        work.emit(
            kind(
                outage_id=plan.outage_id,
                version=plan.version,
                feeder_id=plan.feeder_id,
                starts_at=plan.starts_at,
                ends_at=plan.ends_at,
                reason=plan.reason,
                temporary=plan.temporary,
                affected=part,
            )
        )
