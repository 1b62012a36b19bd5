"""From posts, units, holders, leave and hand-overs to access grants: pure, so provable without a database."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from services.contracts.notify import AccessGrant
from services.contracts.organisation import Holding

OVER_EVERYTHING = frozenset({"system-administrator", "data-publisher", "auditor"})


@dataclass(frozen=True, kw_only=True)
class Leave:
    """Away in `[starts_at, ends_at)`; `deputy_id` names the deputy for this time, else the post's own deputies act."""

    person_id: str
    starts_at: datetime
    ends_at: datetime
    deputy_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class Handover:
    """From `effective_at` on, `to_person_id` holds what `from_person_id` held."""

    from_person_id: str
    to_person_id: str
    effective_at: datetime


@dataclass(frozen=True, kw_only=True)
class Post:
    """A role over named customers, or over its unit with all below where none is named.

    `deputies` (B角) act, in this order, while a holder is away: the first who is not away as well.
    """

    post_id: str
    unit_id: str
    role: str
    customer_ids: tuple[str, ...] = ()
    holdings: tuple[Holding, ...] = ()
    deputies: tuple[str, ...] = ()
    handovers: tuple[Handover, ...] = ()
    active: bool = True


@dataclass(frozen=True, kw_only=True)
class Engaged:
    """What a person is to a customer, in `[valid_from, valid_to)`."""

    engagement_id: str
    customer_id: str
    role: str
    valid_from: datetime
    valid_to: datetime | None


@dataclass(frozen=True, kw_only=True)
class Organisation:
    parents: Mapping[str, str | None]
    """Units with their parents."""
    leaves: tuple[Leave, ...] = ()

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
        for holder in held_by(post, leaves=organisation.leaves)
        for kind, scope_id in scopes
    )  # fmt: skip


def held_by(post: Post, *, leaves: Iterable[Leave]) -> list[Holding]:
    """Who holds the post when: as personnel says, after hand-overs, with the deputies in the times of leave."""
    holdings = _after_handovers(post)
    acting = [deputy for holder in holdings if holder.acting_for is None for deputy in _acting(post, holder, [*leaves])]
    unique = {h.model_dump_json(): h for h in (*holdings, *acting)}
    return sorted(unique.values(), key=lambda h: (h.person_id, h.valid_from, h.acting_for or ""))


def _after_handovers(post: Post) -> list[Holding]:
    holdings = list(post.holdings)
    for step in sorted(post.handovers, key=lambda s: s.effective_at):
        ended: list[Holding] = []
        for held in holdings:
            if held.person_id != step.from_person_id or _over(held, step.effective_at):
                ended.append(held)
            elif held.valid_from < step.effective_at:
                ended.append(held.model_copy(update={"valid_to": step.effective_at}))
        successor = Holding(person_id=step.to_person_id, valid_from=step.effective_at)
        if not any(h.person_id == step.to_person_id and not _over(h, step.effective_at) for h in ended):
            ended.append(successor)
        holdings = ended
    return holdings


def _over(held: Holding, at: datetime) -> bool:
    return held.valid_to is not None and held.valid_to <= at


def _acting(post: Post, holder: Holding, leaves: list[Leave]) -> list[Holding]:
    acting = []
    for leave in leaves:
        if leave.person_id != holder.person_id:
            continue
        starts = max(leave.starts_at, holder.valid_from)
        ends = leave.ends_at if holder.valid_to is None else min(leave.ends_at, holder.valid_to)
        candidates = (leave.deputy_id,) if leave.deputy_id is not None else post.deputies
        deputy = next((d for d in candidates if not _away(d, starts, ends, leaves)), None)
        if starts < ends and deputy is not None and deputy != holder.person_id:
            acting.append(
                Holding(person_id=deputy, valid_from=starts, valid_to=ends, acting_for=holder.person_id)
            )  # fmt: skip
    return acting


def _away(person_id: str, starts: datetime, ends: datetime, leaves: Iterable[Leave]) -> bool:
    return any(a.person_id == person_id and a.starts_at < ends and starts < a.ends_at for a in leaves)


def grants_of_engagements(person_id: str, engagements: Iterable[Engaged]) -> tuple[AccessGrant, ...]:
    return tuple(
        AccessGrant(
            person_id=person_id, role=e.role, scope_kind="owner", scope_id=e.customer_id,
            valid_from=e.valid_from, valid_to=e.valid_to,
        )
        for e in sorted(engagements, key=lambda e: (e.customer_id, e.engagement_id))
        if e.valid_to is None or e.valid_from < e.valid_to
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
