"""CloudEvents 1.0 in binary mode: from a record to a contract, or to the reason why not."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pydantic import ValidationError

from services.contracts.envelope import Event
from services.kernel.broker import MAX_RECORD_BYTES, Record


class Poison(Exception):
    """The record itself is wrong: repeating it cannot help. It becomes a dead letter; its neighbours go on."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail[:2000]


class WaitingFor(Exception):
    """The event names something not known yet; it is kept and applied when that arrives."""

    def __init__(self, kind: str, reference_id: str) -> None:
        super().__init__(f"{kind} {reference_id}")
        self.kind = kind
        self.reference_id = reference_id


@dataclass(frozen=True, kw_only=True)
class Window:
    """How far an event's time may lie from now; outside, a clock is wrong and the event is poison."""

    past: timedelta = timedelta(days=5 * 366)
    ahead: timedelta = timedelta(minutes=10)


@dataclass(frozen=True, kw_only=True, slots=True)
class Attributes:
    """The CloudEvents attributes of a record."""

    id: str
    source: str
    type: str
    time: datetime
    traceparent: str


def attributes_of(record: Record) -> Attributes:
    """Raises `Poison` when a required attribute is missing or unreadable."""
    h = record.headers
    missing = [name for name in ("ce_id", "ce_source", "ce_type", "ce_time") if not h.get(name)]
    if missing:
        raise Poison("missing-attributes", f"headers {', '.join(missing)} are required by CloudEvents 1.0")
    if h.get("ce_specversion", "1.0") != "1.0":
        raise Poison("unknown-specversion", h["ce_specversion"])
    if len(h["ce_id"]) > 120 or len(h["ce_source"]) > 120 or len(h["ce_type"]) > 120:
        raise Poison("attribute-too-long", "ce_id, ce_source and ce_type hold at most 120 characters")
    try:
        time = datetime.fromisoformat(h["ce_time"])
    except ValueError as error:
        raise Poison("unreadable-time", f"ce_time {h['ce_time']!r} is not RFC 3339") from error
    if time.tzinfo is None:
        raise Poison("naive-time", f"ce_time {h['ce_time']!r} has no offset")
    return Attributes(
        id=h["ce_id"], source=h["ce_source"], type=h["ce_type"], time=time, traceparent=h.get("ce_traceparent", "")
    )


def attributes_of_deletion(record: Record) -> Attributes:
    """Those of a null value, which may come without any: then its place in the log says which deletion it is."""
    try:
        return attributes_of(record)
    except Poison:
        return Attributes(
            id=f"{record.offset}@{record.timestamp_ms}",
            source=f"{record.topic}/{record.partition}",
            type=record.headers.get("ce_type", ""),
            time=datetime.fromtimestamp(record.timestamp_ms / 1000, UTC),
            traceparent="",
        )


def check_time(attributes: Attributes, *, window: Window, now: datetime) -> None:
    if not now - window.past <= attributes.time <= now + window.ahead:
        raise Poison("implausible-time", f"ce_time {attributes.time.isoformat()} against {now.isoformat()}")


def decode(record: Record, contract: type[Event]) -> Event:
    """Raises `Poison` with the field and the reason; unknown fields are ignored."""
    body = record.value or b""
    if len(body) > MAX_RECORD_BYTES:
        raise Poison("too-large", f"{len(body)} bytes; at most {MAX_RECORD_BYTES}")
    try:
        json.loads(body, object_pairs_hook=_refuse_doubles)
        event = contract.from_wire(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise Poison("breaks-contract", f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    except (ValueError, RecursionError) as error:
        raise Poison("undecodable", str(error)[:300]) from error
    if record.key is not None and record.key.decode("utf-8", "replace") != event.key:
        raise Poison("foreign-key", f"record key is not {contract.KEY} {event.key}")
    return event


def _refuse_doubles(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a JSON member appears twice")
    return members


def body_hash(record: Record) -> bytes:
    return hashlib.sha256(record.value if record.value is not None else b"\x00null").digest()


def record_from_row(row: Mapping[str, object]) -> Record:
    """A kept record (waiting or dead letter) as it came."""
    return Record(
        topic=str(row["topic"]),
        partition=int(str(row["partition"])),
        offset=int(str(row["offset"])),
        key=row["record_key"],  # type: ignore[arg-type]
        value=row["body"],  # type: ignore[arg-type]
        headers=row["headers"],  # type: ignore[arg-type]
        timestamp_ms=0,
    )
