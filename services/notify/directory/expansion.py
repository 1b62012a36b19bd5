"""From posts, units, holders and leave to access grants: pure, so that it is provable without a database."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from services.contracts.marketing import Engagement
from services.contracts.notify import AccessGrant
from services.contracts.organisation import Holding

OVER_EVERYTHING = frozenset({"system-administrator", "data-publisher", "auditor"})


@dataclass(frozen=True, kw_only=True)
class Post:
    """A role over named customers, or over its unit with all below where none is named."""

    post_id: str
    unit_id: str
    role: str
    customer_ids: tuple[str, ...] = ()
    holdings: tuple[Holding, ...] = ()
    active: bool = True


@dataclass(frozen=True, kw_only=True)
class Organisation:
    parents: Mapping[str, str | None]
    """Units with their parents."""

    def below(self, unit_ids: Iterable[str]) -> list[str]:
        """The units and everything under them, sorted; a loop in the tree ends where it closes."""
        children: dict[str, list[str]] = {}
        for unit_id, parent in self.parents.items():
            if parent is not None:
                children.setdefault(parent, []).append(unit_id)
        found: set[str] = set()
        ahead = [u for u in unit_ids if u in self.parents]
        while ahead:
            unit_id = ahead.pop()
            if unit_id not in found:
                found.add(unit_id)
                ahead += children.get(unit_id, [])
        return sorted(found)


def grants_of_post(post: Post, *, organisation: Organisation) -> tuple[AccessGrant, ...]:
    """Grants of the holders, and of the deputies who act for them."""
    if not post.active:
        return ()
    scopes = _scopes(post, organisation)
    return tuple(
        AccessGrant.model_validate(
            {
                "person_id": holder.person_id, "role": post.role, "scope_kind": kind, "scope_id": scope_id,
                "valid_from": holder.valid_from, "valid_to": holder.valid_to, "acting_for": holder.acting_for,
            }
        )
        for holder in sorted(post.holdings, key=lambda h: (h.person_id, h.valid_from))
        for kind, scope_id in scopes
    )  # fmt: skip


def grants_of_engagements(person_id: str, engagements: Iterable[Engagement]) -> tuple[AccessGrant, ...]:
    return tuple(
        AccessGrant(
            person_id=person_id, role=e.role, scope_kind="owner", scope_id=e.customer_id,
            valid_from=e.valid_from, valid_to=e.valid_to,
        )
        for e in sorted(engagements, key=lambda e: (e.customer_id, e.engagement_id))
    )  # fmt: skip


def digest(grants: tuple[AccessGrant, ...]) -> bytes:
    """Changes exactly when the grants do: a post whose grants stay the same is not published again."""
    return hashlib.sha256("\n".join(g.model_dump_json() for g in grants).encode()).digest()


def _scopes(post: Post, organisation: Organisation) -> list[tuple[str, str]]:
    if post.role in OVER_EVERYTHING:
        return [("everything", "")]
    if post.customer_ids:
        return [("owner", customer_id) for customer_id in sorted(set(post.customer_ids))]
    return [("area", unit_id) for unit_id in organisation.below([post.unit_id])]
