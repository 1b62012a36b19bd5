"""A customer's own interval energy, for the period in which the usage points were theirs."""

# ruff: noqa: S608 - the text is composed of constants of this package; every value is a parameter

from datetime import date, timedelta

import numpy as np

from services.kernel.errors import InvalidInput
from services.kernel.work import UnitOfWork
from services.portrait.adapters.espi_out import ExportBlock
from services.portrait.metering.queries import held_points
from services.portrait.metering.registers import midnight
from services.portrait.metering.store import SCHEMA
from services.portrait.rules.day_block import CHANNELS, FROM_MEAN_POWER, MISSING, QUALITIES

MOST_BLOCKS = 3_000
"""About 288,000 values of 15 minutes: eight years of one channel, a month of a hundred."""
_NAMES = {code: name for name, code in CHANNELS.items()}
_WORDS = {
    QUALITIES["estimated"]: "estimated", QUALITIES["questionable"]: "questionable", QUALITIES["manual"]: "manual",
    QUALITIES["measured"]: "measured", QUALITIES["edited"]: "manual", QUALITIES["validated"]: "measured",
}  # fmt: skip
_BLOCKS = f"""
SELECT DISTINCT ON (b.usage_point_id, b.channel, b.day)
  b.usage_point_id, b.channel, b.day, b.step_minutes, b."values", b.quality
FROM unnest($1::text[], $2::date[], $3::date[]) AS h(usage_point_id, first, after)
JOIN {SCHEMA}.interval_block b ON b.usage_point_id = h.usage_point_id AND b.day >= h.first AND b.day < h.after
WHERE b.day >= $4 AND b.day < $5
ORDER BY b.usage_point_id, b.channel, b.day, b.present::int * b.step_minutes DESC, b.step_minutes LIMIT $6"""


async def export_blocks(work: UnitOfWork, *, customer_id: str, from_day: date, to_day: date) -> list[ExportBlock]:
    """Both days included. Raises InvalidInput when the period holds too much for one answer."""
    after = to_day + timedelta(days=1)
    if after <= from_day:
        raise InvalidInput(zh="结束日不能早于开始日。", en="to_day lies before from_day.", field="to_day")
    held = await held_points(work, customer_id=customer_id, first=from_day, after=after)
    if not held:
        return []
    columns = [list(c) for c in zip(*[(p.usage_point_id, p.first, p.after) for p in held], strict=True)]
    rows = await (await work.raw()).fetch(_BLOCKS, *columns, from_day, after, MOST_BLOCKS + 1)
    if len(rows) > MOST_BLOCKS:
        raise InvalidInput(
            zh=f"该期间的日曲线超过 {MOST_BLOCKS} 条，请缩短期间分次导出。",
            en=f"The period holds more than {MOST_BLOCKS} day curves; export it in parts.",
            field="to_day",
        )
    return [
        _block(row["usage_point_id"], row["channel"], row["day"], row["step_minutes"], (row["values"], row["quality"]))
        for row in rows
    ]


def _block(point: str, channel: int, day: date, step: int, content: tuple[bytes, bytes]) -> ExportBlock:
    values = np.frombuffer(content[0], "<i4")
    codes = np.broadcast_to(np.frombuffer(content[1], np.uint8), values.shape) & ~np.uint8(FROM_MEAN_POWER)
    present = values != MISSING
    return ExportBlock(
        usage_point_id=point,
        channel=_NAMES[channel],
        midnight=midnight(day),
        step_minutes=step,
        values=[v if there else None for v, there in zip(values.tolist(), present.tolist(), strict=True)],
        qualities=[_WORDS[c] if there else None for c, there in zip(codes.tolist(), present.tolist(), strict=True)],
    )
