"""Reading and writing message rows; what every other part of delivery shares."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Executable, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from services.kernel.work import UnitOfWork
from services.notify.channel_settings import channel_settings
from services.notify.directory import contacts
from services.notify.policy.planning import Place
from services.notify.tables import attempt, delivery, delivery_account, webhook_endpoint

Row = Mapping[str, Any]
CONTACT_OF_CHANNEL = contacts.KIND_OF
_PLACES = """
SELECT delivery_id, customer_id, account_id FROM notify.delivery_account WHERE delivery_id = ANY($1::uuid[])"""
OPEN = ("held", "pending", "sending")
TOLD = ("accepted", "unknown", "delivered", "acknowledged")
"""States in which the person has the message, or may have it."""


def delivery_id_of(*, happening: str, person_id: str, channel: str) -> UUID:
    """The same row for the same happening, person and channel, whoever creates it and however often."""
    return UUID(bytes=hashlib.sha256(f"{happening}|{person_id}|{channel}".encode()).digest()[:16])


async def rows_of(work: UnitOfWork, statement: Executable) -> list[Row]:
    return [dict(r) for r in (await work.db.execute(statement)).mappings()]


async def change(work: UnitOfWork, delivery_id: UUID, values: Mapping[str, Any]) -> None:
    await work.db.execute(update(delivery).where(delivery.c.delivery_id == delivery_id).values(**values))


async def locked(work: UnitOfWork, delivery_id: UUID) -> dict[str, Any] | None:
    query = select(delivery).where(delivery.c.delivery_id == delivery_id).with_for_update()
    row = (await work.db.execute(query)).mappings().first()
    return None if row is None else dict(row)


async def places_by_delivery(work: UnitOfWork, delivery_ids: Sequence[UUID]) -> dict[UUID, tuple[Place, ...]]:
    """Sorted accounts of each message; a message about a customer as a whole is missing here."""
    if not delivery_ids:
        return {}
    found: dict[UUID, list[Place]] = {}
    for row in await (await work.raw()).fetch(_PLACES, list(delivery_ids)):
        place = Place(customer_id=row["customer_id"], account_id=row["account_id"])
        found.setdefault(row["delivery_id"], []).append(place)
    return {delivery_id: tuple(sorted(places)) for delivery_id, places in found.items()}


async def places_of(work: UnitOfWork, delivery_id: UUID) -> tuple[Place, ...]:
    return (await places_by_delivery(work, [delivery_id])).get(delivery_id, ())


async def add_places(work: UnitOfWork, delivery_id: UUID, places: Iterable[Place]) -> None:
    rows = [{"delivery_id": delivery_id, "account_id": p.account_id, "customer_id": p.customer_id} for p in places]
    if rows:
        await work.db.execute(insert(delivery_account), rows)


async def note_attempt(work: UnitOfWork, row: Row, *, outcome: str, reason: str | None = None) -> None:
    values = {
        "delivery_id": row["delivery_id"], "number": row["attempts"], "provider": row["provider"] or "-",
        "outcome": outcome, "reason": reason[:200] if reason else None, "at": work.now,
    }  # fmt: skip
    await work.db.execute(upsert(attempt).values(**values).on_conflict_do_nothing())


async def reach_of(work: UnitOfWork, people: Iterable[str]) -> dict[str, frozenset[str]]:
    """The channels of this installation for which each person has a contact that works."""
    there = channel_settings().channels()
    return {person: channels & there for person, channels in (await contacts.reach_of(work, people)).items()}


async def mark_unusable(work: UnitOfWork, row: Row, *, because: str) -> None:
    """The address of this channel does not work any more; the directory shows it with the provider's reason."""
    if row["channel"] == "webhook":
        mine = webhook_endpoint.c.endpoint_id == row["person_id"].removeprefix("webhook:")
        await work.db.execute(update(webhook_endpoint).where(mine).values(active=False))
    elif row["channel"] in CONTACT_OF_CHANNEL:
        await contacts.mark_unusable(work, person_id=row["person_id"], because=because, channel=row["channel"])
