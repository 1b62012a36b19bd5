"""What stands on `metering-readings`, counted by a consumer of the demo's own."""

import json
from dataclasses import dataclass
from datetime import datetime

from aiokafka import AIOKafkaConsumer

from services.contracts.metering import IntervalBlockRecorded

_TOPIC = IntervalBlockRecorded.TOPIC


@dataclass(frozen=True, kw_only=True)
class Told:
    """Readings, that is values that are not null.

    `repeated`: in an event that stood there before. `corrected`: of a later revision for a slot told before.
    `slots`: different intervals that have a value.
    """

    published: int
    repeated: int
    corrected: int
    single: int
    slots: int


async def told_on_topic(*, bootstrap_servers: str) -> Told:
    consumer = AIOKafkaConsumer(
        _TOPIC, bootstrap_servers=bootstrap_servers, group_id=None, auto_offset_reset="earliest"
    )  # fmt: skip
    await consumer.start()
    try:
        return _count(await _all_records(consumer))
    finally:
        await consumer.stop()


async def _all_records(consumer: AIOKafkaConsumer) -> list[tuple[dict[str, bytes], bytes]]:
    partitions = sorted(consumer.assignment())
    ends = await consumer.end_offsets(partitions)
    found = []
    while any([await consumer.position(p) < ends[p] for p in partitions]):
        for records in (await consumer.getmany(timeout_ms=500)).values():
            found += [(dict(r.headers), r.value) for r in records if r.value is not None]
    return found


def _count(records: list[tuple[dict[str, bytes], bytes]]) -> Told:
    seen: set[bytes] = set()
    revisions: dict[tuple[str, str, int], int] = {}
    published = repeated = corrected = single = 0
    for headers, value in records:
        if headers.get("ce_type", b"").decode() != IntervalBlockRecorded.TYPE:
            continue
        body = json.loads(value)
        read = [n for n, v in enumerate(body["values"]) if v is not None]
        published += len(read)
        if headers["ce_id"] in seen:
            repeated += len(read)
            continue
        seen.add(headers["ce_id"])
        single += len(read) if len(body["values"]) == 1 else 0
        begin_min = int(datetime.fromisoformat(body["start"]).timestamp()) // 60
        for n in read:
            slot = (body["usage_point_id"], body["channel"], begin_min + n * body["step_minutes"])
            corrected += slot in revisions and body["revision"] > revisions[slot]
            revisions[slot] = max(body["revision"], revisions.get(slot, 0))
    return Told(
        published=published, repeated=repeated, corrected=corrected, single=single, slots=len(revisions)
    )  # fmt: skip
