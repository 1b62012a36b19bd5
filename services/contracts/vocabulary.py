"""Words that several producers say in the same sense."""

from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from itertools import pairwise
from typing import Annotated, Literal, Self, TypeVar

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from services.contracts.envelope import Id, Instant, Part

T = TypeVar("T")
Many = Annotated[tuple[T, ...], Field(strict=False)]
"""A JSON array; in Python a list is taken as well."""

INTERNAL = Field(json_schema_extra={"x-internal": True})
"""Never shown to a customer's people: classes, vetoes, violation and complaint figures."""
PERSONAL = Field(json_schema_extra={"x-personal": True})
"""Personal data: kept by notify alone, under the person's own key."""


def _in_business_era(day: date) -> date:
    if not 1990 <= day.year <= 2100:
        raise ValueError("lies outside 1990..2100; check the source")
    return day


Day = Annotated[date, AfterValidator(_in_business_era), Field(description="calendar day of Asia/Shanghai")]
Month = Annotated[str, StringConstraints(pattern=r"^(19|20)[0-9]{2}-(0[1-9]|1[0-2])$")]
Code = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:\-]*$")]
"""An entry of a dated code table; codes nobody announced are listed and mapped, not refused."""
IndustryCode = Annotated[str, StringConstraints(pattern=r"^[A-T]?[0-9]{2,4}$|^[A-T]$")]
"""GB/T 4754."""
Wh = Annotated[int, Field(ge=-(2**62), le=2**62)]
Watt = Annotated[int, Field(ge=-(2**62), le=2**62)]
Measure = Annotated[float, Field(ge=-1e12, le=1e12)]
"""A physical quantity or a statistic, never money."""
Points = Annotated[float, Field(ge=0, le=100)]
Multiplier = Annotated[Decimal, Field(gt=0, max_digits=12, decimal_places=4)]

VoltageLevel = Literal[
    "0.22kV", "0.38kV", "6kV", "10kV", "20kV", "35kV", "66kV", "110kV", "220kV", "330kV", "500kV", "750kV"
]
ImportanceGrade = Literal["none", "temporary", "grade-2", "grade-1", "special"]
"""GB/T 29328-2018, from none to special."""
HazardGrade = Literal["critical", "serious", "general"]
FourHighClass = Literal["high-reliability", "high-contribution", "high-service", "high-potential"]
AttentionLevel = Annotated[int, Field(ge=0, le=3, description="0 calm, 1 watch, 2 care, 3 urgent")]
Band = Literal["A", "B", "C", "D", "E"]
TouPeriod = Literal["total", "sharp", "peak", "flat", "valley", "deep-valley"]
Role = Literal[
    "customer-contact",
    "customer-electrician",
    "customer-administrator",
    "account-manager",
    "inspector",
    "team-leader",
    "department-head",
    "dispatcher",
    "planner",
    "crew-leader",
    "contractor",
    "service-desk",
    "trainer",
    "analyst",
    "auditor",
    "security-administrator",
    "system-administrator",
    "data-publisher",
    "system",
]
CustomerRole = Literal["customer-contact", "customer-electrician", "customer-administrator"]


class Dated(Part):
    """A fact in force in [valid_from, valid_to); open where there is no end."""

    valid_from: Day
    valid_to: Day | None = None

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> Self:
        if self.valid_to is not None and self.valid_to <= self.valid_from:
            raise ValueError("valid_to must be later than valid_from: the period is half-open")
        return self

    def holds_on(self, day: date) -> bool:
        return self.valid_from <= day and (self.valid_to is None or day < self.valid_to)


D = TypeVar("D", bound=Dated)


def in_force(facts: Iterable[D], *, day: date) -> D | None:
    """The first of `facts` that holds on `day`."""
    return next((fact for fact in facts if fact.holds_on(day)), None)


def without_overlap(facts: tuple[D, ...]) -> tuple[D, ...]:
    """For facts of which one holds at a time. Raises ValueError when two hold on one day."""
    ordered = sorted(facts, key=lambda fact: fact.valid_from)
    for earlier, later in pairwise(ordered):
        if earlier.valid_to is None or earlier.valid_to > later.valid_from:
            raise ValueError(f"two periods overlap on {later.valid_from}; end the earlier one first")
    return facts


class FeederLink(Dated):
    """Which feeder supplies a usage point, and in which role."""

    feeder_id: Id
    supply: Literal["main", "standby", "emergency"] = "main"


class Cause(Part):
    """The event that led to this one."""

    event_id: Annotated[str, StringConstraints(min_length=1, max_length=120)]
    event_type: Annotated[str, StringConstraints(min_length=1, max_length=120)]


class Between(Part):
    """In force in [valid_from, valid_to), to the instant; open where there is no end."""

    valid_from: Instant
    valid_to: Instant | None = None

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> Self:
        if self.valid_to is not None and self.valid_to <= self.valid_from:
            raise ValueError("valid_to must be later than valid_from: the period is half-open")
        return self
