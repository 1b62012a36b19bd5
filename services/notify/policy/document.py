"""A policy as its department writes it: event class -> audience -> ladder -> deadlines -> digest -> quiet rule."""

import json
from datetime import date, time, timedelta
from functools import lru_cache
from importlib.resources import files
from typing import Annotated, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from services.contracts.marketing import CustomerRole
from services.contracts.organisation import StaffRole
from services.notify.rules.reply_clock import ReplyTimes

Channel = Literal["chat", "wechat", "sms", "mail", "wecom", "webhook", "inbox"]
CHANNELS: tuple[Channel, ...] = get_args(Channel)
"""`chat` is WeChat's customer-service message, which only an open window of the person allows."""
Minutes = Annotated[int, Field(gt=0, le=480)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Rule(_Part):
    """`channels` is the ladder from first to last; `told_of` restricts the audience to those told of one of
    these classes; `listed`: the happening itself names its people. A message waits until the person's open ones of
    `told_of` and `follows` on the same subject have gone or failed.

    `mandatory` passes preferences, quiet hours and digests. `quiet` hold waits for the recipient's morning; `digest`
    names what is merged into one message there. `replaces` withdraws the unsent messages of those classes on the same
    subject, `withdraws_unsent` those of `told_of`: who was not told yet is then told neither. Without receipt (with
    `ack`: without acknowledgement) in `fallback_seconds` after acceptance the next channel is used as well.
    `duty`: outside working hours the staff on duty are told as well.
    """

    customer_roles: frozenset[CustomerRole] = frozenset()
    staff_roles: frozenset[StaffRole] = frozenset()
    told_of: tuple[str, ...] = ()
    follows: tuple[str, ...] = ()
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


class Period(_Part):
    begins: time
    ends: time


class ReplyPromise(_Part):
    """How soon questions are answered, and after how many minutes without an answer the deputy, the team leader and the
    desk are asked; minutes of service time, a parameter of the company and no regulation.

    `unit_id` empty: the whole company; else that unit with all below it. The nearest unit wins.
    """

    unit_id: Annotated[str, Field(max_length=64)] = ""
    service_hours: Annotated[tuple[Period, ...], Field(min_length=1, max_length=6)]
    first_reply_minutes: Minutes
    escalate_minutes: Annotated[tuple[Minutes, ...], Field(min_length=3, max_length=3)]
    source: Annotated[str, Field(max_length=200)] = ""

    @property
    def times(self) -> ReplyTimes:
        return ReplyTimes(
            periods=tuple((p.begins, p.ends) for p in self.service_hours),
            first_reply=timedelta(minutes=self.first_reply_minutes),
            steps=tuple(timedelta(minutes=m) for m in self.escalate_minutes),
        )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        hours = [moment for period in self.service_hours for moment in (period.begins, period.ends)]
        if any(moment.tzinfo is not None for moment in hours) or hours != sorted(set(hours)):
            raise ValueError("service_hours: local times, one period after the other, none empty or overlapping")
        if list(self.escalate_minutes) != sorted(set(self.escalate_minutes)):
            raise ValueError("escalate_minutes: each level is asked later than the one before")
        if self.escalate_minutes[0] < self.first_reply_minutes:
            raise ValueError("escalate_minutes: nobody else is asked before the promised time is over")
        return self


class Policy(_Part):
    valid_from: date
    document_number: Annotated[str, Field(max_length=100)] = ""
    status: Literal["confirmed", "needs_verification", "demo"]
    confirm_contacts_after_months: Annotated[int, Field(ge=1, le=60)]
    fewest_working_channels: Annotated[int, Field(ge=1, le=10)]
    classes: Annotated[dict[str, Rule], Field(min_length=1, max_length=200)]
    replies: Annotated[tuple[ReplyPromise, ...], Field(max_length=200)] = ()
    """Empty: as shipped."""

    def staff_roles(self) -> frozenset[str]:
        """All that any class tells."""
        return frozenset(role for rule in self.classes.values() for role in rule.staff_roles)

    @model_validator(mode="after")
    def _one_promise_for_all(self) -> Self:
        units = [promise.unit_id for promise in self.replies]
        if units and ("" not in units or len(set(units)) != len(units)):
            raise ValueError("replies: one promise for the company (empty unit_id), and one per unit at most")
        return self

    @model_validator(mode="after")
    def _endings_have_beginnings(self) -> Self:
        for name, rule in self.classes.items():
            for other in (*rule.told_of, *rule.follows, *rule.replaces):
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
