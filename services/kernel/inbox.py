"""Who has been heard already: one row per (consumer, source, id), written with the effect."""

from collections.abc import Sequence
from enum import Enum

from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert as upsert

from services.contracts.envelope import Event
from services.kernel.wire import Attributes, Poison
from services.kernel.work import UnitOfWork

_REMEMBER = """
INSERT INTO "{schema}".inbox (consumer, source, id, body_hash)
SELECT $1::text, * FROM unnest($2::text[], $3::text[], $4::bytea[]) ORDER BY 2, 3
ON CONFLICT DO NOTHING RETURNING source, id"""
_DIFFERS = """
SELECT i.source, i.id FROM unnest($2::text[], $3::text[], $4::bytea[]) AS h(source, id, body_hash)
JOIN "{schema}".inbox i ON i.consumer = $1 AND i.source = h.source AND i.id = h.id AND i.body_hash <> h.body_hash"""


class Heard(Enum):
    NEW = "new"
    DUPLICATE = "duplicate"


async def remember(work: UnitOfWork, *, consumer: str, attributes: Attributes, digest: bytes) -> Heard:
    """Raises `Poison` when the same source and id came before with another body."""
    inbox = work.tables.inbox
    row = {"consumer": consumer, "source": attributes.source, "id": attributes.id, "body_hash": digest}
    inserted = await work.db.execute(upsert(inbox).values(row).on_conflict_do_nothing().returning(inbox.c.id))
    if inserted.first() is not None:
        return Heard.NEW
    known = await work.db.execute(
        select(inbox.c.body_hash).where(
            inbox.c.consumer == consumer, inbox.c.source == attributes.source, inbox.c.id == attributes.id
        )
    )
    if known.scalar_one() != digest:
        raise Poison("id-conflict", f"{attributes.source}/{attributes.id} came before with another body")
    return Heard.DUPLICATE


async def remember_all(
    work: UnitOfWork, *, consumer: str, heard: Sequence[tuple[Attributes, bytes]]
) -> set[tuple[str, str]]:
    """(source, id) of those that are new. Raises `Poison` when one of the others came with another body."""
    columns = ([a.source for a, _ in heard], [a.id for a, _ in heard], [digest for _, digest in heard])
    connection, schema = await work.raw(), work.tables.inbox.schema
    new = {(r[0], r[1]) for r in await connection.fetch(_REMEMBER.format(schema=schema), consumer, *columns)}
    if len(new) < len(heard):
        for row in await connection.fetch(_DIFFERS.format(schema=schema), consumer, *columns):
            raise Poison("id-conflict", f"{row[0]}/{row[1]} came before with another body")
    return new


async def is_newest(work: UnitOfWork, *, consumer: str, event: Event) -> bool:
    """Whether a state event is newer than what was applied; locks the aggregate's version row."""
    versions = work.tables.state_version
    claim = upsert(versions).values(
        consumer=consumer,
        aggregatetype=event.aggregate_type,
        aggregateid=event.aggregate_id,
        version=event.version,  # type: ignore[attr-defined]
    )
    claim = claim.on_conflict_do_update(
        index_elements=[versions.c.consumer, versions.c.aggregatetype, versions.c.aggregateid],
        set_={"version": claim.excluded.version},
        where=versions.c.version < claim.excluded.version,
    )
    return (await work.db.execute(claim.returning(text("1")))).first() is not None
