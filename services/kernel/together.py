"""Several facts in one transaction: the neighbours of a poll that may share one, and how they are applied."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from services.contracts.envelope import Event
from services.kernel import faults, inbox
from services.kernel.broker import Record
from services.kernel.manifest import Consumes, Heard
from services.kernel.wire import attributes_of, body_hash, check_time, decode
from services.kernel.work import Cause

if TYPE_CHECKING:
    from services.kernel.consumer import Applier

MOST = 100
MOST_BYTES = 256_000


def cause_of(record: Record) -> Cause:
    h = record.headers
    return Cause(
        id=h.get("ce_id") or f"{record.topic}-{record.partition}-{record.offset}",
        source=h.get("ce_source", "unknown"),
        type=h.get("ce_type", "unknown"),
        traceparent=h.get("ce_traceparent", ""),
    )


def runs(batch: Sequence[Record], contracts: Mapping[str, Consumes]) -> list[list[Record]]:
    """Neighbours of one type whose manifest allows it, no key twice, so that its order is kept; all others alone."""
    found: list[list[Record]] = []
    keys: set[bytes | None] = set()
    size = 0
    for record in batch:
        size += len(record.value or b"")
        if found and _alike(found[-1][-1], record, contracts) and record.key not in keys:
            joins = len(found[-1]) < MOST and size <= MOST_BYTES
        else:
            joins = False
        if joins:
            found[-1].append(record)
            keys.add(record.key)
        else:
            found.append([record])
            keys, size = {record.key}, len(record.value or b"")
    return found


def _alike(one: Record, other: Record, contracts: Mapping[str, Consumes]) -> bool:
    type_ = other.headers.get("ce_type", "")
    consumed = contracts.get(type_)
    return (
        consumed is not None
        and consumed.together is not None
        and (one.topic, one.headers.get("ce_type")) == (other.topic, type_)
        and one.value is not None
        and other.value is not None
    )


async def apply_together(applier: "Applier", records: Sequence[Record]) -> list[str]:
    """The outcomes of a run, in one transaction. Where it raises nothing has happened, and each is applied alone."""
    contract = applier.contracts[records[0].headers["ce_type"]]
    assert contract.together is not None
    async with applier.work(records[0]) as work:
        heard = []
        for record in records:
            attributes = attributes_of(record)
            check_time(attributes, window=contract.window, now=work.now)
            heard.append((attributes, decode(record, contract.event)))
        digests = [(a, body_hash(r)) for (a, _), r in zip(heard, records, strict=True)]
        new = await inbox.remember_all(work, consumer=applier.name, heard=digests)
        faults.point("after-inbox")
        fresh: list[Heard[Event]] = []
        outcomes = []
        for (attributes, event), record in zip(heard, records, strict=True):
            name = (attributes.source, attributes.id)
            outcomes.append("applied" if name in new else "duplicate")
            if name in new:
                new.remove(name)
                fresh.append(Heard(event, cause_of(record)))
        if fresh:
            await contract.together(fresh, work=work)
        return outcomes
