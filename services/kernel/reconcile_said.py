"""The outbox against the topics: what was sent and is not there, and what is there and nobody remembers sending."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, update

from services.kernel.broker_log import Log
from services.kernel.records import Record
from services.kernel.work import UnitOfWork

SKEW = timedelta(minutes=10)
"""Between the clocks of the database, which dates outbox rows, and of the sender, which dates records."""
CHUNK = 5_000


@dataclass(kw_only=True)
class Said:
    unsaid: list[dict[str, Any]] = field(default_factory=list)
    """Marked as sent, not in the log."""
    unpublished: int = 0
    """Of these, handed to the relay again."""
    forgotten: list[Record] = field(default_factory=list)
    """Sent by this service and in no outbox: their writes are lost with the database they stood in."""
    already: int = 0
    """Written again by a repair, and in the log since before: not sent a second time."""

    def lines(self) -> Iterator[dict[str, Any]]:
        for row in self.unsaid:
            yield {"unsaid": str(row["id"]), "topic": row["topic"], "key": row["aggregateid"], "type": row["type"]}
        for r in self.forgotten:
            yield {
                "forgotten": r.headers.get("ce_id"), "topic": r.topic, "partition": r.partition, "offset": r.offset,
                "type": r.headers.get("ce_type"), "key": (r.key or b"").decode("utf-8", "replace"),
                "time": r.headers.get("ce_time"),
            }  # fmt: skip


async def compare_said(
    work: UnitOfWork, *, log: Log, topics: Sequence[str], compacted: frozenset[str], since: datetime, repair: bool
) -> Said:
    """With `repair`, what is missing in the log is marked as not sent: the relay sends it under its old id."""
    in_log: dict[UUID, Record] = {}
    stretches = await log.stretches(topics, since=since - SKEW, committed=False)
    async for batch in log.read(stretches, max_records=CHUNK):
        for record in batch:
            if record.headers.get("ce_source") == f"keyline/{work.service}":
                in_log[UUID(record.headers["ce_id"])] = record
    outbox = work.tables.outbox
    columns = (outbox.c.id, outbox.c.seq, outbox.c.topic, outbox.c.aggregateid, outbox.c.type, outbox.c.published_at)
    query = select(*columns, outbox.c.created_at).where(outbox.c.created_at >= since - 2 * SKEW).order_by(outbox.c.seq)
    rows = [dict(row) for row in (await work.db.execute(query)).mappings()]
    known = {row["id"] for row in rows}
    # Compaction keeps the newest record of a key: that an older one is gone says nothing.
    newest = {(row["topic"], row["aggregateid"]): row["seq"] for row in rows}
    found = Said(
        unsaid=[
            row
            for row in rows
            if row["id"] not in in_log and row["published_at"] is not None and row["created_at"] >= since
            and (row["topic"] not in compacted or newest[row["topic"], row["aggregateid"]] == row["seq"])
        ],
        forgotten=[
            record
            for id_, record in in_log.items()
            if id_ not in known and datetime.fromtimestamp(record.timestamp_ms / 1000, UTC) >= since
        ],
    )  # fmt: skip
    if repair:
        found.unpublished = await _mark(work, [row["id"] for row in found.unsaid], published_at=None, since=since)
        already = [row["id"] for row in rows if row["published_at"] is None and row["id"] in in_log]
        found.already = await _mark(work, already, published_at=func.clock_timestamp(), since=since - 2 * SKEW)
    return found


async def _mark(work: UnitOfWork, ids: Sequence[UUID], *, published_at: Any, since: datetime) -> int:
    outbox = work.tables.outbox
    for first in range(0, len(ids), CHUNK):
        await work.db.execute(
            update(outbox)
            .where(outbox.c.id.in_(ids[first : first + CHUNK]), outbox.c.created_at >= since)
            .values(published_at=published_at)
        )
    return len(ids)
