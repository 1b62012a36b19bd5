"""Makes the results of a run the results, all at once: peers are counted, then the run is published."""

from typing import Any

from sqlalchemy import Row, func, insert, select, update
from sqlalchemy.dialects.postgresql import aggregate_order_by

from services.kernel.work import UnitOfWork
from services.portrait import tables as t
from services.portrait.rules.peers import withheld_because


async def publish(work: UnitOfWork, *, run: Row[Any]) -> int:
    """How many rows became visible. A run on demand is too small to count peers; its customer keeps the last ones."""
    if run.customer_id is None:
        await _count_peers(work, run)
    await work.db.execute(update(t.score_run).where(t.score_run.c.run_id == run.run_id).values(published_at=work.now))
    s = t.score.c
    count = select(func.count()).where(s.run_id == run.run_id)
    return (await work.db.execute(count)).scalar_one()


async def _count_peers(work: UnitOfWork, run: Row[Any]) -> None:
    s = t.score.c
    found = await work.db.execute(
        select(
            s.month, s.peer_group, func.count(), func.sum(s.energy_wh), func.max(s.energy_wh),
            func.array_agg(aggregate_order_by(s.score, s.score)),
        )
        .where(s.run_id == run.run_id, s.score.is_not(None))
        .group_by(s.month, s.peer_group)
        .order_by(s.month, s.peer_group)
    )  # fmt: skip
    rows = []
    for month, group, peers, energy, largest, scores in found:
        withheld = withheld_because(peers=peers, energy_wh=int(energy), largest_wh=largest)
        rows.append(
            {
                "run_id": run.run_id, "month": month, "peer_group": group, "peers": peers,
                "withheld_because": withheld, "scores": [] if withheld else scores,
            }
        )  # fmt: skip
    if rows:
        await work.db.execute(insert(t.score_peer_group), rows)
