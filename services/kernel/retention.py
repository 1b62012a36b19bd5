"""Keeping the house: day partitions, old inbox rows, and the seals over the audit trail."""

import hashlib
from datetime import timedelta
from itertools import pairwise

from sqlalchemy import delete, func, insert, select, text

from services.kernel.jobs import JobRun

OUTBOX_RETENTION_DAYS = 400
INBOX_RETENTION = timedelta(days=60)
"""Longer than the retention of any topic (14 days), else a late repeat would be applied twice."""


async def sweep(run: JobRun) -> None:
    async with run.chunk("partitions") as work:
        await work.db.execute(text(f'SELECT "{work.service}".keep_day_partitions(:d)'), {"d": OUTBOX_RETENTION_DAYS})
    async with run.chunk("inbox") as work:
        inbox, keys = work.tables.inbox, work.tables.idempotency_key
        await work.db.execute(delete(inbox).where(inbox.c.received_at < func.clock_timestamp() - INBOX_RETENTION))
        await work.db.execute(delete(keys).where(keys.c.created_at < func.clock_timestamp() - timedelta(days=3)))


def merkle_root(leaves: list[bytes]) -> bytes:
    """SHA-256 tree; an odd node is paired with itself."""
    level = leaves or [b""]
    while len(level) > 1:
        if len(level) % 2:
            level = [*level, level[-1]]
        level = [hashlib.sha256(a + b).digest() for a, b in list(pairwise(level))[::2]]
    return level[0]


async def seal_audit(run: JobRun) -> None:
    """One root per closed minute, each chained to the one before; a changed or removed row breaks the chain."""
    async with run.chunk("seal") as work:
        audit, root = work.tables.audit, work.tables.audit_root
        newest = (await work.db.execute(select(root).order_by(root.c.minute.desc()).limit(1))).first()
        minute = func.date_trunc("minute", audit.c.at)
        # Two minutes back: transactions still open may yet write into the last one.
        query = select(audit, minute.label("minute")).where(
            minute < func.date_trunc("minute", func.clock_timestamp()) - timedelta(minutes=2)
        )
        if newest is not None:
            query = query.where(minute > newest.minute)
        by_minute: dict[object, list[bytes]] = {}
        for row in await work.db.execute(query.order_by(audit.c.seq).limit(50_000)):
            by_minute.setdefault(row.minute, []).append(audit_leaf(dict(row._mapping)))
        chain = newest.chain_hash if newest is not None else b"\x00" * 32
        for at in sorted(by_minute, key=str):
            top = merkle_root(by_minute[at])
            chain = hashlib.sha256(chain + top).digest()
            await work.db.execute(
                insert(root).values(minute=at, rows=len(by_minute[at]), merkle_root=top, chain_hash=chain)
            )


def audit_leaf(row: dict[str, object]) -> bytes:
    """The hash of an audit row over all its columns but `exported`."""
    text_ = "|".join(f"{k}={_plain(row[k])}" for k in sorted(row) if k not in {"exported", "minute"})
    return hashlib.sha256(text_.encode()).digest()


def _plain(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)
