"""Which days have changed, noted with the batch that changed them: one row per batch, however many days it holds."""

from collections.abc import Sequence
from datetime import date

from services.kernel.work import UnitOfWork
from services.portrait.metering.store import SCHEMA
from services.portrait.rules.day_block import BlockKey

Day = tuple[str, date]
"""Usage point and local day."""

_NOTE = f"INSERT INTO {SCHEMA}.changed_days (noted_at, size, usage_point_ids, days) VALUES ($1, $2, $3, $4)"  # noqa: S608
_TAKE = f"""
WITH taken AS (
  DELETE FROM {SCHEMA}.changed_days WHERE seq IN (
    SELECT seq FROM (SELECT seq, sum(size) OVER (ORDER BY seq) - size AS before FROM {SCHEMA}.changed_days) AS queue
    WHERE before < $1)
  RETURNING usage_point_ids, days)
SELECT DISTINCT k.usage_point_id, k.day FROM taken, unnest(usage_point_ids, days) AS k(usage_point_id, day)
ORDER BY 1, 2"""  # noqa: S608


async def note_changed(work: UnitOfWork, *, keys: Sequence[BlockKey]) -> None:
    await note_days(work, days=[(key.usage_point_id, key.day) for key in keys])


async def note_days(work: UnitOfWork, *, days: Sequence[Day]) -> None:
    if days:
        points, dates = zip(*days, strict=True)
        await (await work.raw()).execute(_NOTE, work.now, len(days), list(points), list(dates))


async def take_changed(work: UnitOfWork, *, most: int) -> list[Day]:
    """The oldest noted days (about `most`, each once), taken away when this transaction commits."""
    return [(row[0], row[1]) for row in await (await work.raw()).fetch(_TAKE, most)]
