"""The words every contract is written in.

A contract is a pydantic class. The class says on which topic it travels, under which key, and whether
it is a *state* (the newest version of an aggregate wins) or a *fact* (all apply, in any order).
On the wire the class becomes a CloudEvent in binary mode: attributes in headers, these fields as JSON body.
"""

import re
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

Delivery = Literal["state", "fact"]
When = TypeVar("When", date, datetime)


_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f]")


def _no_control_characters(text: str) -> str:
    if _CONTROL.search(text):
        raise ValueError("contains control characters; send printable text")
    return text


Id = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:\-]*$")]
Label = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(_no_control_characters)]
Text = Annotated[str, StringConstraints(max_length=4000), AfterValidator(_no_control_characters)]
Version = Annotated[int, Field(ge=1, le=2**62, description="rises with every change of the aggregate")]
Kva = Annotated[Decimal, Field(ge=0, max_digits=12, decimal_places=3)]
Kw = Annotated[Decimal, Field(ge=0, max_digits=14, decimal_places=6)]
Yuan = Annotated[Decimal, Field(max_digits=16, decimal_places=2)]
Share = Annotated[float, Field(ge=0, le=1)]


def _in_business_era(when: When) -> When:
    if not 1990 <= when.year <= 2100:
        raise ValueError("lies outside 1990..2100; check the clock of the source")
    return when


Instant = Annotated[AwareDatetime, AfterValidator(_in_business_era)]
Day = Annotated[date, AfterValidator(_in_business_era)]


class Part(BaseModel):
    """A piece of an event: same strictness, no topic of its own."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)


class Event(Part):
    """Base of all contracts; subclasses set the class variables below.

    `TYPE` is a literal of the form `keyline.<producer>.<what-happened>.v<n>` and never derives from the
    class name: renaming a class must not change the wire.
    """

    TYPE: ClassVar[str]
    TITLE_ZH: ClassVar[str] = ""
    """What happened, for the Chinese reader of the reference; the English title is in the type."""
    TOPIC: ClassVar[str]
    KEY: ClassVar[str]
    """Name of the field that becomes the Kafka key."""
    KEY_PREFIX: ClassVar[str] = ""
    """Keeps the aggregates of a compacted topic apart where it carries several kinds: `post:P-1`, `unit:P-1`."""
    AGGREGATE: ClassVar[str | None] = None
    """Name of the field that identifies the aggregate whose `version` counts, if not the key."""
    DELIVERY: ClassVar[Delivery] = "fact"

    @property
    def key(self) -> str:
        return self.key_of(getattr(self, self.KEY))

    @classmethod
    def key_of(cls, value: object) -> str:
        """The Kafka key of an aggregate of which only the id is known, as a deletion needs it."""
        return f"{cls.KEY_PREFIX}{value}"

    @classmethod
    def id_in(cls, key: str) -> str | None:
        """The aggregate's id in a Kafka key; None when the key is of another kind of the same topic."""
        return key.removeprefix(cls.KEY_PREFIX) if key.startswith(cls.KEY_PREFIX) else None

    @property
    def aggregate_id(self) -> str:
        return str(getattr(self, self.AGGREGATE or self.KEY))

    @property
    def aggregate_type(self) -> str:
        """`hazard-found` of `keyline.inspection.hazard-found.v1`; a state's versions count within it."""
        return self.TYPE.split(".")[2]

    @classmethod
    def headline(cls) -> str:
        """Chinese, then English: `隐患已发现 Hazard found`."""
        return f"{cls.TITLE_ZH} {cls.TYPE.split('.')[2].replace('-', ' ').capitalize()}"

    @classmethod
    def said_by(cls) -> str:
        """Who alone may say it: a service, or a system of the company."""
        return cls.TYPE.split(".")[1]

    def to_wire(self) -> bytes:
        return self.model_dump_json().encode()

    @classmethod
    def from_wire(cls, body: bytes) -> Self:
        """Read as a consumer does: fields added later by the producer are ignored.

        Raises `pydantic.ValidationError` when a known field breaks its contract.
        """
        return cls.model_validate_json(body, extra="ignore")


def schema_of(event: type[Event]) -> dict[str, Any]:
    """JSON Schema 2020-12 of the body, with the routing facts as `x-` members."""
    schema = event.model_json_schema()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:keyline:{event.TYPE}",
        "x-topic": event.TOPIC,
        "x-key": f"{event.KEY_PREFIX}{{{event.KEY}}}",
        "x-delivery": event.DELIVERY,
        **schema,
    }
