"""Which promise holds for a customer: that of the nearest unit, from the policy in force."""

from sqlalchemy import select

from services.kernel.work import UnitOfWork
from services.notify.policy.document import shipped_policy
from services.notify.policy.store import policy_in_force
from services.notify.rules.reply_clock import ReplyTimes
from services.notify.tables import account, unit


async def times_for(work: UnitOfWork, *, customer_id: str) -> ReplyTimes:
    replies = (await policy_in_force(work)).policy.replies or shipped_policy().replies
    by_unit = {promise.unit_id: promise.times for promise in replies}
    if len(by_unit) > 1:
        for unit_id in await _units_above(work, customer_id):
            if unit_id in by_unit:
                return by_unit[unit_id]
    return by_unit[""]


async def _units_above(work: UnitOfWork, customer_id: str) -> list[str]:
    """The customer's service areas, then all above them, nearest first."""
    a = account.c
    areas = select(a.service_area_id).where(a.customer_id == customer_id).distinct().order_by(a.service_area_id)
    known = {row.unit_id: row.parent_id for row in await work.db.execute(select(unit.c.unit_id, unit.c.parent_id))}
    line: list[str] = []
    level: list[str | None] = list((await work.db.execute(areas)).scalars())
    while level:
        fresh = [u for u in dict.fromkeys(level) if u is not None and u not in line]
        line += fresh
        level = [known.get(u) for u in fresh]
    return line
