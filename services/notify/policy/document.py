"""Which happening is told to whom, over which channels, how urgently: dated data, read once."""

import json
from functools import lru_cache
from importlib.resources import files
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Rule(BaseModel):
    """`channels` is the ladder from first to last; `told_of` restricts the audience to those told of that class.

    `mandatory` passes preferences, quiet hours and digests. `quiet` hold waits for the recipient's morning; `digest`
    names what is merged into one message there. `replaces` withdraws the unsent messages of those classes on the same
    subject, `withdraws_unsent` those of `told_of`: who was not told yet is then told neither. Without receipt (with
    `ack`: without acknowledgement) in `fallback_seconds` after acceptance the next channel is used as well.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    customer_roles: frozenset[str]
    staff_roles: frozenset[str]
    channels: tuple[str, ...] = Field(min_length=1)
    priority: int = Field(ge=0, le=3)
    give_up_minutes: int = Field(gt=0)
    told_of: str | None = None
    mandatory: bool = False
    quiet: Literal["pass", "hold"] = "pass"
    digest: str | None = None
    replaces: tuple[str, ...] = ()
    withdraws_unsent: bool = False
    ack: bool = False
    fallback_seconds: int | None = Field(default=None, gt=0)


class Policy(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    valid_from: str
    status: str
    classes: dict[str, Rule]


@lru_cache(maxsize=1)
def policy() -> Policy:
    return Policy.model_validate(json.loads(files("services.notify.policy").joinpath("policy.json").read_text("utf-8")))


def rule_for(event_class: str) -> Rule:
    """Raises KeyError for a class that the policy does not name."""
    return policy().classes[event_class]
