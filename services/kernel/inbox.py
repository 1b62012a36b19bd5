"""Who has been heard already: one row per (consumer, source, id), written with the effect."""

from enum import Enum

from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert as upsert

from services.contracts.envelope import Event
from services.kernel.wire import Attributes, Poison
from services.kernel.work import UnitOfWork


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
