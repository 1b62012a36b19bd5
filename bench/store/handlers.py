"""What the product is compared with: FastStream handlers with SQLAlchemy, as the two libraries' documentation shows.

`python -m bench.store.handlers message|batch TOPIC GROUP RECORDS`: handles RECORDS of the topic; the clock runs from
the first call of the handler to the end of the last. Offsets are committed by the library's default (before the
handler), which is cheaper and weaker than what the product does.
"""

import asyncio
import os
import sys
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

from faststream.kafka import KafkaBroker
from pydantic import BaseModel, Field
from sqlalchemy import BigInteger, Date, DateTime, SmallInteger, func
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from bench.store.progress import Progress

ZONE = ZoneInfo("Asia/Shanghai")
CHANNELS = {"active-import": 1, "active-export": 2, "reactive-lagging": 3, "reactive-leading": 4}
QUALITIES = {"missing": 1, "estimated": 2, "questionable": 3, "manual": 4, "measured": 5}


class IntervalBlock(BaseModel):
    usage_point_id: str = Field(min_length=1, max_length=64)
    channel: Literal["active-import", "active-export", "reactive-lagging", "reactive-leading"]
    kind: Literal["energy", "mean-power"]
    start: datetime
    step_minutes: Literal[15, 30, 60]
    values: list[int | None] = Field(min_length=1, max_length=96)
    quality: Literal["measured", "estimated", "manual", "questionable", "missing"]
    revision: int = Field(ge=0)
    source_time: datetime


class Base(DeclarativeBase):
    pass


class Reading(Base):
    __tablename__ = "reading"
    usage_point_id: Mapped[str] = mapped_column(primary_key=True)
    channel: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    start: Mapped[datetime] = mapped_column(DateTime(timezone=True), primary_key=True)
    value: Mapped[int]
    quality: Mapped[int] = mapped_column(SmallInteger)
    revision: Mapped[int]
    source_time: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class DayTotal(Base):
    __tablename__ = "day_total"
    usage_point_id: Mapped[str] = mapped_column(primary_key=True)
    channel: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    day: Mapped[date] = mapped_column(Date, primary_key=True)
    total: Mapped[int] = mapped_column(BigInteger)
    maximum: Mapped[int]
    minimum: Mapped[int]
    present: Mapped[int]


def _rolled_up() -> Any:
    new = insert(DayTotal)
    return new.on_conflict_do_update(
        index_elements=["usage_point_id", "channel", "day"],
        set_={
            "total": DayTotal.total + new.excluded.total,
            "maximum": func.greatest(DayTotal.maximum, new.excluded.maximum),
            "minimum": func.least(DayTotal.minimum, new.excluded.minimum),
            "present": DayTotal.present + new.excluded.present,
        },
    )


NEW_READINGS = (
    insert(Reading)
    .on_conflict_do_nothing()
    .returning(Reading.usage_point_id, Reading.channel, Reading.start, Reading.value)
)
ROLLED_UP = _rolled_up()


def rows_of(block: IntervalBlock) -> list[dict[str, Any]]:
    step = timedelta(minutes=block.step_minutes)
    return [
        {
            "usage_point_id": block.usage_point_id,
            "channel": CHANNELS[block.channel],
            "start": block.start + n * step,
            "value": value,
            "quality": QUALITIES[block.quality],
            "revision": block.revision,
            "source_time": block.source_time,
        }
        for n, value in enumerate(block.values)
        if value is not None
    ]


async def store(session: AsyncSession, rows: Sequence[dict[str, Any]]) -> None:
    """Insert what is not there yet, and add exactly that to the day's rollups (in key order, against deadlocks)."""
    days: dict[tuple[str, int, date], dict[str, Any]] = {}
    for point, channel, start, value in (await session.execute(NEW_READINGS, rows)).all():
        key = (point, channel, start.astimezone(ZONE).date())
        day = days.setdefault(
            key,
            dict(
                zip(("usage_point_id", "channel", "day"), key, strict=True),
                total=0,
                maximum=value,
                minimum=value,
                present=0,
            ),
        )
        day["total"] += value
        day["maximum"], day["minimum"] = max(day["maximum"], value), min(day["minimum"], value)
        day["present"] += 1
    if days:
        await session.execute(ROLLED_UP, [days[key] for key in sorted(days)])


class Handled:
    def __init__(self, records: int) -> None:
        self.progress = Progress()
        self.all = asyncio.Event()
        self._records = records

    def note(self, records: int) -> None:
        self.progress.note(self.progress.done + records)
        if self.progress.done >= self._records:
            self.all.set()


async def handle(mode: str, topic: str, group: str, records: int) -> None:
    engine = create_async_engine(os.environ["BENCH_DSN"])
    new_session = async_sessionmaker(engine, expire_on_commit=False)
    broker = KafkaBroker(os.environ["BENCH_BOOTSTRAP"], logger=None)
    handled = Handled(records)

    if mode == "message":

        @broker.subscriber(topic, group_id=group, auto_offset_reset="earliest")
        async def on_block(block: IntervalBlock) -> None:
            handled.progress.begin()
            async with new_session() as session, session.begin():
                await store(session, rows_of(block))
            handled.note(1)

    else:
        at_once = int(os.environ["BENCH_BATCH"])

        @broker.subscriber(topic, group_id=group, auto_offset_reset="earliest", batch=True, max_records=at_once)
        async def on_blocks(blocks: list[IntervalBlock]) -> None:
            handled.progress.begin()
            async with new_session() as session, session.begin():
                await store(session, [row for block in blocks for row in rows_of(block)])
            handled.note(len(blocks))

    async with engine.connect():
        pass  # the pool keeps the connection, as after any time of work
    await broker.start()
    await asyncio.wait_for(handled.all.wait(), 100)
    await broker.stop()
    await engine.dispose()
    handled.progress.report()


def main() -> None:
    asyncio.run(handle(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])))


if __name__ == "__main__":
    main()
