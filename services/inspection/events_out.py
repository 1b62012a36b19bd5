"""What inspection says: one builder per event, from own rows."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Literal

from sqlalchemy import Row

from services.contracts.envelope import Event
from services.contracts.inspection import (
    HazardClosed,
    HazardConfirmed,
    HazardFound,
    HazardNotified,
    HazardOverdue,
    HazardRectified,
    HazardVerified,
    HazardVoided,
    InspectionScheduled,
    InspectionSubmitted,
)

HAZARD_STEPS = {
    "found": HazardFound,
    "notified": HazardNotified,
    "confirm": HazardConfirmed,
    "void": HazardVoided,
    "rectify": HazardRectified,
    "verify": HazardVerified,
    "close": HazardClosed,
    "overdue": HazardOverdue,
}


def hazard_step(step: str, row: Row[Any], *, at: datetime) -> Event:
    """The whole hazard as it stands after `step`."""
    return HAZARD_STEPS[step](
        hazard_id=row.hazard_id, version=row.version, customer_id=row.customer_id, account_id=row.account_id,
        site_id=row.site_id, asset_id=row.asset_id, item_code=row.item_code, grade=row.grade, status=row.status,
        suspected=row.suspected, finding=row.finding, deadline=row.deadline, occurred_at=at,
    )  # fmt: skip


def inspection_scheduled(
    *, visit_id: str, customer_id: str, site_id: str, due_on: date,
    reason: Literal["cycle", "class", "attention", "hazard"],
) -> InspectionScheduled:  # fmt: skip
    return InspectionScheduled(
        visit_id=visit_id, customer_id=customer_id, site_id=site_id, due_on=due_on, reason=reason
    )


def inspection_submitted(
    *, visit_id: str, customer_id: str, site_id: str, inspector_ids: Sequence[str], at: datetime, passed: int,
    failed: int,
) -> InspectionSubmitted:  # fmt: skip
    return InspectionSubmitted(
        visit_id=visit_id, customer_id=customer_id, site_id=site_id, inspector_ids=tuple(sorted(inspector_ids)),
        submitted_at=at, items_passed=passed, items_failed=failed,
    )  # fmt: skip
