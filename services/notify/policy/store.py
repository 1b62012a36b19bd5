"""The policy in force at a moment: the newest confirmed version that has begun, else the shipped one."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select

from services.kernel.clock import BUSINESS_ZONE
from services.kernel.errors import NotFound
from services.kernel.work import UnitOfWork
from services.notify.policy.document import Policy, Rule, shipped_policy
from services.notify.tables import policy_version

SHIPPED = "shipped"


class UnknownClass(KeyError):
    """The policy in force has no row for a class that notify hears: no silent default, the event is retried."""


@dataclass(frozen=True, kw_only=True)
class InForce:
    version: str
    policy: Policy

    def rule_for(self, event_class: str) -> Rule:
        if event_class not in self.policy.classes:
            raise UnknownClass(f"policy {self.version} has no row for {event_class}")
        return self.policy.classes[event_class]


async def policy_in_force(work: UnitOfWork, *, at: datetime | None = None) -> InForce:
    p = policy_version.c
    today = (at or work.now).astimezone(BUSINESS_ZONE).date()
    query = select(p.version).where(p.confirmed_at.is_not(None), p.valid_from <= today)
    found = (await work.db.execute(query.order_by(p.valid_from.desc(), p.confirmed_at.desc()).limit(1))).scalar()
    return await policy_of(work, version=SHIPPED if found is None else str(found))


async def policy_of(work: UnitOfWork, *, version: str) -> InForce:
    """Raises `NotFound` for an unknown version."""
    if version == SHIPPED:
        return InForce(version=SHIPPED, policy=shipped_policy())
    try:
        key = UUID(version)
    except ValueError:
        raise NotFound(what_zh="策略版本", what_en="policy version", field="version") from None
    query = select(policy_version.c.document).where(policy_version.c.version == key)
    document = (await work.db.execute(query)).scalar()
    if document is None:
        raise NotFound(what_zh="策略版本", what_en="policy version", field="version")
    return InForce(version=version, policy=_parsed(version, document))


_documents: dict[str, Policy] = {}


def _parsed(version: str, document: object) -> Policy:
    """A version's document never changes, so it is read once."""
    if version not in _documents:
        _documents[version] = Policy.model_validate(document)
    return _documents[version]
