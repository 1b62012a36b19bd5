"""Where records go that cannot be applied now (waiting) or at all (dead letters), and how they come back."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import delete, func, insert, select, text, update

from services.kernel.broker import Record
from services.kernel.errors import NotFound
from services.kernel.wire import Poison, WaitingFor
from services.kernel.work import UnitOfWork


def _record_columns(record: Record, *, consumer: str) -> dict[str, Any]:
    h = record.headers
    return {
        "consumer": consumer,
        "topic": record.topic,
        "type": h.get("ce_type", "")[:120],
        "source": h.get("ce_source", "")[:120],
        "event_id": h.get("ce_id", "")[:120],
        "partition": record.partition,
        "offset": record.offset,
        "record_key": record.key,
        "headers": {k: v.replace("\x00", "\ufffd") for k, v in h.items()},
        "body": record.value,
    }


async def bury(work: UnitOfWork, *, record: Record, consumer: str, poison: Poison) -> None:
    """Keep the bytes, where they stood and why they were refused."""
    await work.db.execute(
        insert(work.tables.dead_letter).values(
            id=uuid4(), reason=poison.reason, detail=poison.detail.replace("\x00", "\ufffd"),
            **_record_columns(record, consumer=consumer),
        )
    )  # fmt: skip


async def keep_waiting(work: UnitOfWork, *, record: Record, consumer: str, waiting_for: WaitingFor) -> None:
    await work.db.execute(
        insert(work.tables.waiting).values(
            id=uuid4(),
            reference_kind=waiting_for.kind,
            reference_id=waiting_for.reference_id[:128],
            # A first look soon: the reference may have committed while this event looked for it.
            next_try_at=text("clock_timestamp() + interval '1 second'"),
            **_record_columns(record, consumer=consumer),
        )
    )


async def due_waiting(work: UnitOfWork, *, limit: int = 200) -> list[UUID]:
    w = work.tables.waiting
    rows = await work.db.execute(
        select(w.c.id)
        .where(w.c.next_try_at <= func.clock_timestamp())
        .order_by(w.c.waiting_since, w.c.offset)
        .limit(limit)
    )
    return list(rows.scalars())


async def take_waiting(work: UnitOfWork, *, waiting_id: UUID) -> Mapping[str, Any] | None:
    """The kept row, locked and removed by this transaction; None when another replica has it."""
    w = work.tables.waiting
    locked = select(w).where(w.c.id == waiting_id).with_for_update(skip_locked=True)
    row = (await work.db.execute(locked)).mappings().first()
    if row is not None:
        await work.db.execute(delete(w).where(w.c.id == waiting_id))
    return dict(row) if row is not None else None


async def wait_longer(work: UnitOfWork, *, waiting_id: UUID, waiting_for: WaitingFor) -> None:
    w = work.tables.waiting
    await work.db.execute(
        update(w)
        .where(w.c.id == waiting_id)
        .values(
            reference_kind=waiting_for.kind,
            reference_id=waiting_for.reference_id[:128],
            attempts=w.c.attempts + 1,
            next_try_at=text("clock_timestamp() + least(60, power(2, least(attempts, 6))) * interval '1 second'"),
        )
    )


async def list_dead_letters(work: UnitOfWork, *, status: str = "open", limit: int = 100) -> list[dict[str, Any]]:
    d = work.tables.dead_letter
    columns = [c for c in d.c if c.name not in {"body", "record_key", "headers"}]
    rows = await work.db.execute(select(*columns).where(d.c.status == status).order_by(d.c.created_at).limit(limit))
    return [dict(r) for r in rows.mappings()]


async def show_dead_letter(work: UnitOfWork, *, letter_id: UUID) -> dict[str, Any]:
    d = work.tables.dead_letter
    row = (await work.db.execute(select(d).where(d.c.id == letter_id))).mappings().first()
    if row is None:
        raise NotFound(what_zh="死信", what_en="dead letter", field="id")
    return dict(row)


async def replay_dead_letter(work: UnitOfWork, *, letter_id: UUID, reason: str) -> None:
    """Hand the record back to its consumer; it is applied within a second or becomes a new dead letter."""
    row = await _settle(work, letter_id=letter_id, status="replayed", reason=reason)
    kept = ("consumer", "topic", "type", "source", "event_id", "partition", "offset", "record_key", "headers", "body")
    await work.db.execute(
        insert(work.tables.waiting).values(
            id=uuid4(), reference_kind="replay", reference_id=str(letter_id), **{k: row[k] for k in kept}
        )
    )


async def skip_dead_letter(work: UnitOfWork, *, letter_id: UUID, reason: str) -> None:
    await _settle(work, letter_id=letter_id, status="skipped", reason=reason)


async def _settle(work: UnitOfWork, *, letter_id: UUID, status: str, reason: str) -> dict[str, Any]:
    row = await show_dead_letter(work, letter_id=letter_id)
    d = work.tables.dead_letter
    changed = await work.db.execute(
        update(d)
        .where(d.c.id == letter_id, d.c.status == "open")
        .values(
            status=status, settled_at=func.clock_timestamp(), settled_by=work.actor.person_id, settled_reason=reason
        )
        .returning(d.c.id)
    )
    if changed.first() is None:
        raise NotFound(what_zh="未处理的死信", what_en="open dead letter", field="id")
    await work.audit(action=f"dead-letter-{status}", object_type="dead-letter", object_id=str(letter_id), reason=reason)
    return row
