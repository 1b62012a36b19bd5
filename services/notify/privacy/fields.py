"""The table of personal data of the house: which column holds what, why, on what ground and for how long."""

from functools import lru_cache
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

_FILE = Path(__file__).parents[1] / "data" / "personal_data.json"


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PersonalField(_Row):
    """`erased_by`: destroying the person's key, deleting the row, a pseudonym in its place, or time alone."""

    what_zh: str
    what_en: str
    purpose: str
    basis: str = Field(description="PIPL article 13 and, where it is a duty, the rule behind it")
    status: Literal["confirmed", "needs_verification"]
    retention: str
    erased_by: Literal["key", "deletion", "pseudonym", "time"]
    columns: tuple[str, ...]


class Retention(_Row):
    """Rows of `table` older than `days` by `column` are deleted by the nightly job."""

    table: str
    column: str
    days: int = Field(ge=1)


class PersonalData(_Row):
    fields: tuple[PersonalField, ...]
    retention: tuple[Retention, ...]
    not_personal: dict[str, str] = Field(description="column, or schema-wide pattern -> why it names no person")


@lru_cache(maxsize=1)
def personal_data() -> PersonalData:
    return PersonalData.model_validate_json(_FILE.read_bytes())
