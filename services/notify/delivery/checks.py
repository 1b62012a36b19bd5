"""The last look before a message leaves: is it still in time, still wanted, still true, not yet acknowledged?"""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import or_, select

from services.kernel.work import UnitOfWork
from services.notify import metrics
from services.notify.delivery.rows import TOLD, Row
from services.notify.delivery.steps import fail, suppress
from services.notify.tables import delivery, preference


async def still_wanted(work: UnitOfWork, rows: Sequence[Row]) -> list[Row]:
    """Those that may go; the others have ended with their reason or rule."""
    acknowledged = await _acknowledged(work, rows)
    unwanted = await _switched_off(work, [r for r in rows if not r["mandatory"]])
    never_told = await _never_told(work, [r for r in rows if r["told_of"]])
    ready = []
    for row in rows:
        if row["delivery_id"] in acknowledged:
            metrics.DUPLICATES_SUPPRESSED.labels("acknowledged").inc()
            await suppress(work, row, rule="acknowledged-already")
        elif row["delivery_id"] in never_told:
            await suppress(work, row, rule="never-told")
        elif row["give_up_at"] <= work.now:
            await fail(work, row, reason="too-late")
        elif row["delivery_id"] in unwanted:
            await suppress(work, row, rule="switched-off")
        else:
            ready.append(row)
    return ready


async def _acknowledged(work: UnitOfWork, rows: Sequence[Row]) -> set[UUID]:
    """Of which the person has acknowledged the same on another channel."""
    again = [r for r in rows if r["fallback_of"] is not None]
    if not again:
        return set()
    d = delivery.c
    query = select(d.happening, d.person_id).where(
        d.happening.in_({r["happening"] for r in again}), d.person_id.in_({r["person_id"] for r in again}),
        d.acknowledged_at.is_not(None),
    )  # fmt: skip
    known = {(r.happening, r.person_id) for r in await work.db.execute(query)}
    return {r["delivery_id"] for r in again if (r["happening"], r["person_id"]) in known}


async def _switched_off(work: UnitOfWork, rows: Sequence[Row]) -> set[UUID]:
    """A person's word for this class and channel goes before the one for all classes or channels."""
    if not rows:
        return set()
    p = preference.c
    query = select(preference).where(
        p.person_id.in_({r["person_id"] for r in rows}),
        or_(p.event_class == "*", p.event_class.in_({r["event_class"] for r in rows})),
        or_(p.channel == "*", p.channel == rows[0]["channel"]),
    )
    words = {(w.person_id, w.event_class, w.channel): w.wanted for w in await work.db.execute(query)}
    return {
        row["delivery_id"]
        for row in rows
        if not wanted(words, person_id=row["person_id"], event_class=row["event_class"], channel=row["channel"])
    }


def wanted(words: dict[tuple[str, str, str], bool], *, person_id: str, event_class: str, channel: str) -> bool:
    """From the closest word to the widest; nothing said means yes."""
    for key in ((event_class, channel), (event_class, "*"), ("*", channel), ("*", "*")):
        if (said := words.get((person_id, *key))) is not None:
            return said
    return True


async def _never_told(work: UnitOfWork, rows: Sequence[Row]) -> set[UUID]:
    """An end is not told to whom the beginning did not reach: it failed everywhere or was suppressed."""
    if not rows:
        return set()
    d = delivery.c
    query = select(d.event_class, d.subject_id, d.person_id).where(
        d.subject_id.in_({r["subject_id"] for r in rows}), d.person_id.in_({r["person_id"] for r in rows}),
        d.event_class.in_({c for r in rows for c in r["told_of"]}), d.state.in_(TOLD),
    )  # fmt: skip
    told = {(r.event_class, r.subject_id, r.person_id) for r in await work.db.execute(query)}
    return {
        r["delivery_id"] for r in rows if not any((c, r["subject_id"], r["person_id"]) in told for c in r["told_of"])
    }
