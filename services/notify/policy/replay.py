"""Draws recorded plans again: to say why somebody was told or not, and who would be told under another policy."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select

from services.kernel.auth.grants import visible
from services.kernel.clock import BUSINESS_ZONE
from services.kernel.work import UnitOfWork
from services.notify.policy.planning import Explanation, Plan, plan
from services.notify.policy.record import directory_from
from services.notify.policy.store import InForce, policy_of
from services.notify.tables import planning

MOST_ROWS = 20_000


@dataclass(frozen=True, kw_only=True)
class Planned:
    """One recorded planning, restricted to the customers that the caller may see."""

    happening: str
    event_class: str
    subject_id: str
    policy_version: str
    planned_at: datetime
    rows: tuple[Mapping[str, Any], ...]

    def drawn(self, in_force: InForce) -> Plan:
        directory, customers, places = directory_from(self.rows)
        return plan(
            rule=in_force.rule_for(self.event_class), customers=customers, places=places, directory=directory,
            now=self.planned_at,
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Change:
    """`before` and `after` are the channels in order, None where the person is not told."""

    happening: str
    person_id: str
    customer_id: str
    before: tuple[str, ...] | None
    after: tuple[str, ...] | None


async def explanations(
    work: UnitOfWork, *, subject_id: str, person_id: str | None
) -> list[tuple[Planned, Explanation]]:
    """Of every planning about the subject, the newest first; without `person_id` of everybody considered."""
    found = []
    for planned in await _recorded(work, planning.c.subject_id == subject_id):
        drawn = planned.drawn(await policy_of(work, version=planned.policy_version))
        found += [
            (planned, e) for e in drawn.explanations if person_id is None or e.person_id == person_id
        ]  # fmt: skip
    return found


async def differences(work: UnitOfWork, *, day: date, version: str) -> tuple[int, list[Change]]:
    """How many happenings of the day were replayed, and who would be told otherwise under `version`."""
    begins = datetime.combine(day, time(), tzinfo=BUSINESS_ZONE)
    on_day = (planning.c.planned_at >= begins, planning.c.planned_at < begins + timedelta(days=1))
    recorded = await _recorded(work, *on_day)
    other = await policy_of(work, version=version)
    changes: list[Change] = []
    for planned in recorded:
        before = planned.drawn(await policy_of(work, version=planned.policy_version))
        changes += _changes(planned, before, planned.drawn(other))
    return len(recorded), changes


def _changes(planned: Planned, before: Plan, after: Plan) -> list[Change]:
    was = {r.person_id: r for r in before.recipients}
    would = {r.person_id: r for r in after.recipients}
    return [
        Change(
            happening=planned.happening, person_id=person, customer_id=(was.get(person) or would[person]).customer_id,
            before=was[person].channels if person in was else None,
            after=would[person].channels if person in would else None,
        )
        for person in sorted(was.keys() | would.keys())
        if (was[person].channels if person in was else None) != (would[person].channels if person in would else None)
    ]  # fmt: skip


async def _recorded(work: UnitOfWork, *where: Any) -> list[Planned]:
    query = select(planning).where(*where, visible(planning.c.customer_id, work=work))
    ordered = query.order_by(planning.c.planned_at.desc(), planning.c.planning_id, planning.c.customer_id)
    rows = (await work.db.execute(ordered.limit(MOST_ROWS))).mappings().all()
    by_planning: dict[UUID, list[Mapping[str, Any]]] = {}
    for row in rows:
        by_planning.setdefault(row["planning_id"], []).append(dict(row))
    return [_planned(own) for own in by_planning.values()]


def _planned(rows: Sequence[Mapping[str, Any]]) -> Planned:
    first = rows[0]
    names = ("happening", "event_class", "subject_id", "policy_version", "planned_at")
    return Planned(rows=tuple(rows), **{name: first[name] for name in names})
