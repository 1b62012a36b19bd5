"""Which days have changed, noted with the batch that changed them: one row per batch, however many days it holds."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date

from services.kernel.work import UnitOfWork
from services.portrait.metering.store import SCHEMA
from services.portrait.rules.day_block import BlockKey

Day = tuple[str, date]
"""Usage point and local day."""

_NOTE = f"INSERT INTO {SCHEMA}.changed_days (noted_at, size, day_points) VALUES ($1, $2, $3)"  # noqa: S608
_TAKE = f"""
WITH taken AS (
  DELETE FROM {SCHEMA}.changed_days WHERE seq IN (
    SELECT seq FROM (SELECT seq, sum(size) OVER (ORDER BY seq) - size AS before FROM {SCHEMA}.changed_days) AS queue
    WHERE before < $1)
  RETURNING day_points)
SELECT DISTINCT point, split_part(line, E'\\t', 1)::date FROM taken, string_to_table(day_points, E'\\n') AS line,
  string_to_table(split_part(line, E'\\t', 2), ' ') AS point
ORDER BY 1, 2"""  # noqa: S608


async def note_changed(work: UnitOfWork, *, keys: Sequence[BlockKey]) -> None:
    await note_days(work, days=[(key.usage_point_id, key.day) for key in keys])


async def note_days(work: UnitOfWork, *, days: Sequence[Day]) -> None:
    """Ids hold neither blanks nor line ends, so a day and its points fit into a line: half the cost of arrays."""
    if days:
        points: dict[date, set[str]] = defaultdict(set)
        for point, day in days:
            points[day].add(point)
        lines = [f"{day}\t{' '.join(sorted(its))}" for day, its in sorted(points.items())]
        size = sum(len(its) for its in points.values())
        await (await work.raw()).execute(_NOTE, work.now, size, "\n".join(lines))


async def take_changed(work: UnitOfWork, *, most: int) -> list[Day]:
    """The oldest noted days (about `most`, each once), taken away when this transaction commits."""
    return [(row[0], row[1]) for row in await (await work.raw()).fetch(_TAKE, most)]
