"""Which happening is told to whom, over which channels, how urgently: dated data, read once."""

import json
from functools import lru_cache
from importlib.resources import files

from pydantic import BaseModel, ConfigDict, Field


class Rule(BaseModel):
    """`channels` is the ladder from first to last; `told_of` restricts the audience to those told of that class."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    customer_roles: frozenset[str]
    staff_roles: frozenset[str]
    channels: tuple[str, ...] = Field(min_length=1)
    priority: int = Field(ge=0, le=3)
    give_up_minutes: int = Field(gt=0)
    told_of: str | None = None


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
