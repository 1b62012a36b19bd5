"""Writes interval energy as CSV in the long form, which the import reads back."""

import csv
import io
from collections.abc import Iterable, Iterator
from datetime import timedelta

from services.portrait.adapters.espi_out import ExportBlock

HEADER = ("usage_point_id", "channel", "interval_start", "step_minutes", "value", "unit", "quality")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def harmless(text: str) -> str:
    """Text that no spreadsheet takes for a formula: a leading apostrophe where it would begin one."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def csv_lines(blocks: Iterable[ExportBlock]) -> Iterator[str]:
    """With a byte order mark, so that spreadsheets take it for UTF-8. Numbers are written as numbers."""
    yield "\ufeff" + csv_line(HEADER)
    for block in blocks:
        unit = "varh" if block.channel.startswith("reactive") else "Wh"
        lines = []
        for slot, (value, quality) in enumerate(zip(block.values, block.qualities, strict=True)):
            if value is None or quality is None:
                continue
            start = block.midnight + timedelta(minutes=slot * block.step_minutes)
            lines.append(
                csv_line(
                    (
                        block.usage_point_id, block.channel, start.isoformat(timespec="minutes"),
                        block.step_minutes, value, unit, quality,
                    )
                )
            )  # fmt: skip
        yield "".join(lines)


def csv_line(cells: Iterable[object]) -> str:
    """Texts are made harmless; numbers are written as numbers."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerow([harmless(c) if isinstance(c, str) else c for c in cells])
    return text.getvalue()
