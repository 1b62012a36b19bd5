"""Makes the results of a run the results, all at once: peers are counted, then the run is published."""

# ruff: noqa: S608 - the text is composed of constants of this package; every value is a parameter

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any

import numpy as np
from sqlalchemy import Row, func, insert, select, update

from services.kernel.work import UnitOfWork
from services.portrait import tables as t
from services.portrait.customers.calendar import month_name
from services.portrait.metering.store import SCHEMA
from services.portrait.rules.peers import withheld_because
from services.portrait.scoring.compute import PEER

HUNDREDTHS = ">i2"
"""As what the scores of a group of peers are stored, rising."""
# A month at a time, so that memory follows the customers of one month only.
_PEERS = f"""
SELECT substring(peers FROM $2 * {PEER.itemsize} * customers + 1 FOR {PEER.itemsize} * customers)
FROM {SCHEMA}.score_chunk WHERE run_id = $1 AND peers <> ''"""


async def publish(work: UnitOfWork, *, run: Row[Any], months: Sequence[date]) -> int:
    """How many customers became visible. A run on demand is too small to count peers; the last ones stand."""
    c = t.score_chunk.c
    if run.customer_id is None:
        raw = await work.raw()
        for number, month in enumerate(months):
            found = b"".join(row[0] for row in await raw.fetch(_PEERS, run.run_id, number))
            rows = [
                {"run_id": run.run_id, "month": month_name(month), **group}
                for group in peer_groups(np.frombuffer(found, PEER))
            ]
            if rows:
                await work.db.execute(insert(t.score_peer_group), rows)
    await work.db.execute(update(t.score_chunk).where(c.run_id == run.run_id).values(peers=None))
    await work.db.execute(update(t.score_run).where(t.score_run.c.run_id == run.run_id).values(published_at=work.now))
    count = select(func.coalesce(func.sum(c.customers), 0)).where(c.run_id == run.run_id, c.phase == 1)
    return int((await work.db.execute(count)).scalar_one())


def peer_groups(peers: Any) -> Iterator[dict[str, Any]]:
    """A row per group of scored customers in one month's PEER records."""
    scored = peers[peers["hundredths"] >= 0]
    # The eight bytes of a name compare as one number many times faster than as text.
    group = np.ascontiguousarray(scored["group"]).view(np.uint64)
    order = np.lexsort((scored["hundredths"], group))
    ordered, group = scored[order], group[order]
    for members in np.split(ordered, np.flatnonzero(group[1:] != group[:-1]) + 1) if len(ordered) else ():
        withheld = withheld_because(
            peers=len(members), energy_wh=int(members["energy_wh"].sum()), largest_wh=int(members["energy_wh"].max())
        )
        yield {
            "peer_group": members["group"][0].decode(),
            "peers": len(members),
            "withheld_because": withheld,
            "scores": b"" if withheld else members["hundredths"].astype(HUNDREDTHS).tobytes(),
        }
