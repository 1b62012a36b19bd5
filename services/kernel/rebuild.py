"""Rebuilding a view: a compacted topic is read from its beginning by a new consumer generation."""

from uuid import uuid4

from sqlalchemy import delete

from services.kernel.broker import Consumer
from services.kernel.consumer import Applier
from services.kernel.manifest import Service
from services.kernel.settings import KernelSettings
from services.kernel.work import EVERYTHING, Actor, Cause, Database


class NothingToRebuild(ValueError):
    """The service does not consume the topic, or the topic does not keep every aggregate."""


async def rebuild(*, service: Service, settings: KernelSettings, topic: str) -> int:
    """Apply every record of `topic` again and say how many; the running service may go on meanwhile.

    Versions already applied are forgotten first, so that the newest state of each aggregate is written anew.
    """
    kinds = [c for c in service.consumes if topic == c.event.TOPIC and c.event.DELIVERY == "state"]
    if not kinds:
        raise NothingToRebuild(f"{service.name} keeps no view of {topic}; choose one of {list(service.single_topics)}")
    generation = uuid4().hex[:8]
    database = Database(service=service.name, metadata=service.metadata, settings=settings)
    applier = Applier(service=service, database=database, name=f"{service.name}#{generation}")
    consumer = Consumer(settings=settings, group=f"keyline-{service.name}-rebuild-{generation}", topics=[topic])
    cause = Cause(id=generation, source="rebuild", type=topic)
    actor = Actor(person_id="operator:command-line", role="system-administrator")
    async with database.work(role="worker", cause=cause, actor=actor, scope=EVERYTHING) as work:
        inbox, versions = work.tables.inbox, work.tables.state_version
        await work.db.execute(delete(versions).where(versions.c.consumer.like(f"{service.name}#%")))
        await work.db.execute(delete(inbox).where(inbox.c.consumer.like(f"{service.name}#%")))
        await work.audit(action="view-rebuilt", object_type="topic", object_id=topic)
    await consumer.start()
    applied = silent = 0
    try:
        while silent < 8:
            records = await consumer.poll(max_records=200, timeout_ms=500)
            silent = 0 if records else silent + 1
            for record in records:
                applied += await applier.apply(record) == "applied"
    finally:
        await consumer.stop()
        await database.close()
    return applied
