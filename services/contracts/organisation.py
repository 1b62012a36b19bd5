"""What personnel says: units, posts, who holds them."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from services.contracts.envelope import Event, Id, Instant, Label, Part, Version

StaffRole = Literal[
    "account-manager", "inspector", "team-leader", "department-head", "dispatcher", "planner", "crew-leader",
    "contractor", "service-desk", "trainer", "analyst", "auditor", "security-administrator",
    "system-administrator", "data-publisher",
]  # fmt: skip


class UnitChanged(Event):
    TYPE = "keyline.organisation.unit-changed.v1"
    TITLE_ZH = "机构已变更"
    TOPIC = "organisation"
    KEY = "unit_id"
    KEY_PREFIX = "unit:"
    DELIVERY = "state"

    unit_id: Id
    version: Version
    name: Label
    parent_id: Id | None = None


class Holding(Part):
    """A person at a post in `[valid_from, valid_to)`; a deputy (B角) acts for the holder in that time."""

    person_id: Id
    valid_from: Instant
    valid_to: Instant | None = None
    acting_for: Id | None = None


class PostChanged(Event):
    """A post: a role over a unit with all below, or over named customers (一户一岗一责)."""

    TYPE = "keyline.organisation.post-changed.v1"
    TITLE_ZH = "岗位已变更"
    TOPIC = "organisation"
    KEY = "post_id"
    KEY_PREFIX = "post:"
    DELIVERY = "state"

    post_id: Id
    version: Version
    name: Label
    unit_id: Id
    role: StaffRole
    customer_ids: Annotated[tuple[Id, ...], Field(max_length=2000)] = ()
    holdings: Annotated[tuple[Holding, ...], Field(max_length=50)] = ()


class LeaveChanged(Event):
    """Somebody is away in `[starts_at, ends_at)`; without a named deputy the deputies of their posts act."""

    TYPE = "keyline.organisation.leave-changed.v1"
    TITLE_ZH = "休假已变更"
    TOPIC = "organisation"
    KEY = "leave_id"
    KEY_PREFIX = "leave:"
    DELIVERY = "state"

    leave_id: Id
    version: Version
    person_id: Id
    starts_at: Instant
    ends_at: Instant
    deputy_id: Id | None = None

    @model_validator(mode="after")
    def _ends_after_it_starts(self) -> Self:
        if self.ends_at <= self.starts_at:
            raise ValueError("ends_at: not after starts_at")
        return self


EVENTS: tuple[type[Event], ...] = (UnitChanged, PostChanged, LeaveChanged)
