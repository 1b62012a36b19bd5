"""A policy as its department writes it: event class -> audience -> ladder -> deadlines -> digest -> quiet rule."""

import json
from datetime import date
from functools import lru_cache
from importlib.resources import files
from typing import Annotated, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from services.contracts.marketing import CustomerRole
from services.contracts.organisation import StaffRole

Channel = Literal["wechat", "sms", "mail", "wecom", "webhook", "inbox"]
CHANNELS: tuple[Channel, ...] = get_args(Channel)


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Rule(_Part):
    """`channels` is the ladder from first to last; `told_of` restricts the audience to those told of one of
    these classes; `listed`: the happening itself names its people.

    `mandatory` passes preferences, quiet hours and digests. `quiet` hold waits for the recipient's morning; `digest`
    names what is merged into one message there. `replaces` withdraws the unsent messages of those classes on the same
    subject, `withdraws_unsent` those of `told_of`: who was not told yet is then told neither. Without receipt (with
    `ack`: without acknowledgement) in `fallback_seconds` after acceptance the next channel is used as well.
    `duty`: outside working hours the staff on duty are told as well.
    """

    customer_roles: frozenset[CustomerRole] = frozenset()
    staff_roles: frozenset[StaffRole] = frozenset()
    told_of: tuple[str, ...] = ()
    listed: bool = False
    channels: Annotated[tuple[Channel, ...], Field(min_length=1, max_length=6)]
    priority: Annotated[int, Field(ge=0, le=3)]
    give_up_minutes: Annotated[int, Field(gt=0, le=43_200)]
    mandatory: bool = False
    quiet: Literal["pass", "hold"] = "pass"
    digest: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z-]{1,30}$")] | None = None
    replaces: tuple[str, ...] = ()
    withdraws_unsent: bool = False
    ack: bool = False
    fallback_seconds: Annotated[int, Field(gt=0, le=86_400)] | None = None
    duty: bool = False

    @property
    def audience_name(self) -> str:
        return ", ".join(self.told_of) or "listed"

    @model_validator(mode="after")
    def _one_audience(self) -> Self:
        ways = (bool(self.customer_roles or self.staff_roles), bool(self.told_of), self.listed)
        if sum(ways) != 1:
            raise ValueError("name roles, or told_of, or listed: exactly one kind of audience")
        if len(set(self.channels)) != len(self.channels):
            raise ValueError("channels: a channel stands twice in the ladder")
        if self.mandatory and (self.digest or self.quiet == "hold"):
            raise ValueError("mandatory: waits neither for a digest nor for the end of quiet hours")
        if self.withdraws_unsent and not self.told_of:
            raise ValueError("withdraws_unsent: needs told_of")
        return self


class Policy(_Part):
    valid_from: date
    document_number: Annotated[str, Field(max_length=100)] = ""
    status: Literal["confirmed", "needs_verification", "demo"]
    confirm_contacts_after_months: Annotated[int, Field(ge=1, le=60)]
    fewest_working_channels: Annotated[int, Field(ge=1, le=10)]
    classes: Annotated[dict[str, Rule], Field(min_length=1, max_length=200)]

    def staff_roles(self) -> frozenset[str]:
        """All that any class tells."""
        return frozenset(role for rule in self.classes.values() for role in rule.staff_roles)

    @model_validator(mode="after")
    def _endings_have_beginnings(self) -> Self:
        for name, rule in self.classes.items():
            for other in (*rule.told_of, *rule.replaces):
                if other not in self.classes:
                    raise ValueError(f"classes.{name}: no such class {other}")
        return self


@lru_cache(maxsize=1)
def shipped_policy() -> Policy:
    """What the house starts with, until a department enters and confirms its own."""
    return Policy.model_validate(json.loads(files("services.notify.policy").joinpath("policy.json").read_text("utf-8")))


def rule_for(event_class: str) -> Rule:
    """Of the shipped policy. Raises KeyError for a class that it does not name."""
    return shipped_policy().classes[event_class]
