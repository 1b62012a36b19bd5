"""What portrait answers about file imports."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from services.portrait.exchange.imports import MOST_BYTES


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ImportAnnounced(_Body):
    """Hints are needed only where the file does not say it itself; a refused import names the one it misses."""

    file_name: Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^/\\\x00-\x1f]+$")]
    bytes: Annotated[int, Field(ge=1, le=MOST_BYTES)]
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    encoding: Literal["utf-8", "gb18030", "utf-16"] | None = None
    usage_point_id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:\-]{0,63}$")] | None = None
    channel: Literal["active-import", "active-export", "reactive-lagging", "reactive-leading"] | None = None
    unit: Literal["Wh", "kWh", "MWh", "varh", "kvarh", "W", "kW", "MW", "var", "kvar"] | None = None
    step_minutes: Literal[15, 30, 60] | None = None
    stamps: Literal["start", "end"] | None = None


class ImportOpened(_Body):
    """Send part n (from 1) with PUT; all but the last have `part_bytes`."""

    import_id: str
    parts: int
    part_bytes: int


class PartTaken(_Body):
    import_id: str
    part: int
    parts_missing: int


class ImportReport(_Body):
    """`readings` went to the metering topic in `events`; `errors` rows or cells were not taken and are listed."""

    import_id: str
    file_name: str
    bytes: int
    state: Literal["receiving", "reading", "refused", "done"]
    file_format: str | None
    items_done: int
    last_row: int
    readings: int
    events: int
    errors: int
    refused_field: str | None
    refused_zh: str | None
    refused_en: str | None
    requested_at: datetime
    finished_at: datetime | None


class ImportErrorLine(_Body):
    ordinal: int
    row: int
    column: str
    text: str
    code: str
    reason_zh: str
    reason_en: str


class ImportErrors(_Body):
    items: list[ImportErrorLine]
    next_after: int | None
