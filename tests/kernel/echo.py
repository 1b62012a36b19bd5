"""A service without a trade: just enough to prove what the kernel promises. Run as `python -m tests.kernel.echo`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from sqlalchemy import Column, Integer, String, Table, Uuid, select
from sqlalchemy.dialects.postgresql import insert as upsert

from services.contracts.envelope import Event, Id, Text, Version
from services.contracts.notify import EngagementsChanged, PostAssigned
from services.kernel.auth.directory import directory_consumes
from services.kernel.auth.grants import visible
from services.kernel.broker import Record, TopicSpec
from services.kernel.door import door_router
from services.kernel.errors import NotFound
from services.kernel.http import Work, allow, service_router
from services.kernel.manifest import Consumes, ConsumesInBulk, Heard, Rejected, Service
from services.kernel.tables import open_schema
from services.kernel.wire import Poison, WaitingFor
from services.kernel.work import Cause, UnitOfWork


class Said(Event):
    TYPE, TOPIC, KEY = "keyline.outside.said.v1", "echo-said", "customer_id"
    customer_id: Id
    words: Text
    about: Id | None = None


class Stated(Event):
    TYPE, TOPIC, KEY, DELIVERY = "keyline.outside.stated.v1", "echo-stated", "subject_id", "state"
    subject_id: Id
    version: Version
    words: Text


class Counted(Event):
    TYPE, TOPIC, KEY = "keyline.outside.counted.v1", "echo-counted", "count_id"
    count_id: Id
    n: int


class Answered(Event):
    TYPE, TOPIC, KEY = "keyline.echo.answered.v1", "echo-answers", "customer_id"
    customer_id: Id
    words: Text


metadata = open_schema("echo")
heard = Table(
    "heard",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("customer_id", String(64), nullable=False),
    Column("words", String, nullable=False),
)
stated = Table(
    "stated",
    metadata,
    Column("subject_id", String(64), primary_key=True),
    Column("version", Integer),
    Column("words", String),
)
counted = Table("counted", metadata, Column("count_id", String(64), primary_key=True), Column("n", Integer))


async def on_said(event: Said, *, work: UnitOfWork) -> None:
    await _hear(event, work=work, cause=work.cause)


async def on_said_together(said: Sequence[Heard[Said]], *, work: UnitOfWork) -> None:
    for event, cause in said:
        await _hear(event, work=work, cause=cause)
    await work.audit(action="heard-together", object_type="words", object_id="several", rows=len(said))


async def _hear(event: Said, *, work: UnitOfWork, cause: Cause) -> None:
    if event.words == "boom":
        raise RuntimeError("a handler's own mistake")
    if event.about:
        known = await work.db.execute(select(stated.c.subject_id).where(stated.c.subject_id == event.about))
        if known.first() is None:
            raise WaitingFor("subject", event.about)
    row = {"id": work.new_id("heard", cause=cause), "customer_id": event.customer_id, "words": event.words}
    await work.db.execute(heard.insert().values(row))
    await work.audit(action="heard", object_type="words", object_id=str(row["id"]), owner_id=event.customer_id)
    work.emit(Answered(customer_id=event.customer_id, words=event.words), cause=cause)


async def on_stated(event: Stated, *, work: UnitOfWork) -> None:
    row = {"subject_id": event.subject_id, "version": event.version, "words": event.words}
    await work.db.execute(upsert(stated).values(row).on_conflict_do_update(index_elements=["subject_id"], set_=row))
    work.arrived("subject", event.subject_id)


async def on_stated_gone(key: str, *, work: UnitOfWork) -> None:
    await work.db.execute(stated.delete().where(stated.c.subject_id == key))


async def on_counts(batch: Sequence[Record], *, work: UnitOfWork) -> Sequence[Rejected]:
    rejected = []
    for record in batch:
        try:
            event = Counted.from_wire(record.value or b"")
        except ValidationError as error:
            rejected.append(Rejected(record=record, poison=Poison("breaks-contract", str(error.error_count()))))
            continue
        if event.n == 13:
            raise RuntimeError("thirteen")
        row = {"count_id": event.count_id, "n": event.n}
        await work.db.execute(upsert(counted).values(row).on_conflict_do_nothing())
    return rejected


router = service_router("echo")


@router.get("/words")
@allow("listener", "customer-contact")
async def words(work: Work) -> list[dict[str, Any]]:
    rows = await work.db.execute(select(heard).where(visible(heard.c.customer_id, work=work)).order_by(heard.c.words))
    return [{"customer_id": r.customer_id, "words": r.words} for r in rows]


@router.get("/words/{customer_id}")
@allow("listener", "customer-contact")
async def words_of(customer_id: str, work: Work) -> list[str]:
    query = select(heard.c.words).where(heard.c.customer_id == customer_id, visible(heard.c.customer_id, work=work))
    found = list((await work.db.execute(query)).scalars())
    if not found:
        raise NotFound
    return found


@router.post("/words", status_code=201)
@allow("speaker")
async def speak(body: Said, work: Work) -> dict[str, str]:
    await on_said(body, work=work)
    return {"id": str(work.new_id("heard"))}


_RELAYED = (Said, Stated, Counted, PostAssigned, EngagementsChanged)
SERVICE = Service(
    name="echo",
    title_zh="回声",
    title_en="Echo",
    consumes=(
        Consumes(event=Said, handler=on_said, together=on_said_together),
        Consumes(event=Stated, handler=on_stated, deletion=on_stated_gone),
        *directory_consumes(),
    ),
    bulk=(ConsumesInBulk(topic="echo-counted", events=(Counted,), handler=on_counts),),
    publishes=(Answered,),
    relays=_RELAYED,
    topics=(
        TopicSpec(name="echo-said", partitions=2),
        TopicSpec(name="echo-stated", partitions=2, compacted=True),
        TopicSpec(name="echo-counted", partitions=2),
        TopicSpec(name="echo-answers", partitions=2),
        TopicSpec(name="notify-directory", partitions=2, compacted=True),
    ),
    metadata=metadata,
    owned={"heard": "customer_id"},
    routers=(router, door_router(service="echo", events=_RELAYED)),
    migrations=str(Path(__file__).parent / "migrations"),
)

if __name__ == "__main__":
    from services.kernel.run import main

    main([SERVICE])
