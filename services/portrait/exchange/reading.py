"""The job that reads imported files: chunk by chunk into the outbox, going on where it stopped."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from sqlalchemy import Row, func, insert, select, update

from services.kernel.jobs import JobRun
from services.kernel.wire import Window
from services.kernel.work import UnitOfWork
from services.portrait import tables as t
from services.portrait.adapters import espi_in, tabular
from services.portrait.adapters.readings import Hints, Reading, RowError, Unrecognised
from services.portrait.adapters.sheets import format_of, rows_of
from services.portrait.exchange.blocks import blocks_of
from services.portrait.exchange.imports import forget_parts, open_imports

CHUNK_ITEMS, CHUNK_SERIES = 20_000, 1_000
"""A transaction takes so many readings and errors, or readings of so many points and days, whichever comes first."""
_SKIP_ITEMS = 100_000
_LOOKED_AT, _MOST_ERRORS = 1_000, 0.5
"""A file whose first items are errors for the most part is refused as a whole: it is another layout."""
KEPT = timedelta(days=30)
Item = Reading | RowError


async def read_imports(run: JobRun) -> None:
    async with run.chunk("look") as work:
        waiting = await open_imports(work)
        await forget_parts(work, before=work.now - KEPT)
    for import_id in waiting:
        await _read_import(run, import_id)


async def _read_import(run: JobRun, import_id: str) -> None:
    async with run.chunk(f"{import_id}|open") as work:
        file = (await work.db.execute(select(t.import_file).where(t.import_file.c.import_id == import_id))).one()
    try:
        async with _on_disk(run, file) as path:
            await _read_chunks(run, file, path)
    except Unrecognised as problem:
        async with run.chunk(f"{import_id}|refuse") as work:
            await _refuse(work, import_id, problem)


@asynccontextmanager
async def _on_disk(run: JobRun, file: Row[Any]) -> AsyncIterator[Path]:
    """The file put together from its parts, checked against the hash it was announced with."""
    digest = hashlib.sha256()
    with NamedTemporaryFile(prefix="keyline-import-") as target:
        for part in range(1, file.parts + 1):
            async with run.chunk(f"{file.import_id}|part-{part}") as work:
                p = t.import_part.c
                query = select(p.body).where(p.import_id == file.import_id, p.part == part)
                body = bytes((await work.db.execute(query)).scalar_one())
            digest.update(body)
            await asyncio.to_thread(target.write, body)
        target.flush()
        if digest.hexdigest() != file.sha256:
            raise Unrecognised(
                zh="内容与申报的 SHA-256 不符，请重新上传。",
                en="The content does not match the announced SHA-256; send it again.",
                field="sha256",
            )
        yield Path(target.name)


def _items(path: Path, hints: Hints) -> tuple[str, Iterator[Item]]:
    file_format = format_of(path)
    if file_format == "espi":
        return file_format, espi_in.readings_of(path, hints)
    return file_format, tabular.readings_of(rows_of(path, file_format=file_format, hints=hints), hints)


async def _read_chunks(run: JobRun, file: Row[Any], path: Path) -> None:
    file_format, items = _items(path, Hints(**file.hints))
    done: int = file.items_done
    await _skip(run, file, items, done)
    last = False
    while not last:
        chunk, last = await asyncio.to_thread(_next_chunk, items)
        if done == 0:
            _refuse_if_mostly_wrong(chunk[:_LOOKED_AT])
        async with run.chunk(f"{file.import_id}|{done}") as work:
            await _store_chunk(work, file, _Chunk(items=chunk, done=done, last=last, file_format=file_format))
        done += len(chunk)


async def _skip(run: JobRun, file: Row[Any], items: Iterator[Item], count: int) -> None:
    """What was dealt with before a restart: the same file is read the same way again. Keeps the lease meanwhile."""
    while count > 0:
        step = min(count, _SKIP_ITEMS)
        await asyncio.to_thread(lambda n=step: next(islice(items, n, n), None))  # type: ignore[misc]
        async with run.chunk(f"{file.import_id}|skip-{count}"):
            count -= step


@dataclass(frozen=True, slots=True, kw_only=True)
class _Chunk:
    items: list[Item]
    done: int
    """Items of the file before this chunk."""
    last: bool
    file_format: str


def _next_chunk(items: Iterator[Item]) -> tuple[list[Item], bool]:
    """The next items, and whether they are the last."""
    chunk: list[Item] = []
    series = set()
    for item in items:
        chunk.append(item)
        if isinstance(item, Reading):
            series.add((item.usage_point_id, item.channel, item.start.date()))
        if len(chunk) == CHUNK_ITEMS or len(series) == CHUNK_SERIES:
            return chunk, False
    return chunk, True


def _refuse_if_mostly_wrong(items: list[Item]) -> None:
    wrong = [item for item in items if isinstance(item, RowError)]
    if wrong and len(wrong) > _MOST_ERRORS * len(items) and len(items) >= 20:
        first = wrong[0]
        raise Unrecognised(
            zh=f"前 {len(items)} 项中有 {len(wrong)} 项无法读取（如第 {first.row} 行 {first.column}：{first.text}），"
            "请核对列与单位后重新导入；没有写入任何数据。",
            en=f"{len(wrong)} of the first {len(items)} items cannot be read (row {first.row}, {first.column}: "
            f"{first.text!r}); check columns and units and import again. Nothing was taken.",
            field="file",
        )


async def _store_chunk(work: UnitOfWork, file: Row[Any], chunk: _Chunk) -> None:
    readings = [item for item in chunk.items if isinstance(item, Reading)]
    events, refused = blocks_of(readings, source_time=file.requested_at, now=work.now, window=Window())
    for event in events:
        work.emit(event)
    errors = [item for item in chunk.items if isinstance(item, RowError)] + refused
    f = t.import_file.c
    await work.db.execute(
        update(t.import_file)
        .where(f.import_id == file.import_id)
        .values(
            file_format=chunk.file_format, items_done=chunk.done + len(chunk.items),
            readings=f.readings + len(readings) - len(refused), errors=f.errors + len(errors),
            events=f.events + len(events),
            last_row=func.greatest(f.last_row, max((item.row for item in chunk.items), default=0)),
            **({"state": "done", "finished_at": work.now} if chunk.last else {}),
        )
    )  # fmt: skip
    if errors:
        rows = [
            {
                "import_id": file.import_id, "ordinal": chunk.done + n, "row": e.row, "column": e.column[:120],
                "text": e.text[:200], "code": e.code,
            }
            for n, e in enumerate(errors, 1)
        ]  # fmt: skip
        await work.db.execute(insert(t.import_error), rows)


async def _refuse(work: UnitOfWork, import_id: str, problem: Unrecognised) -> None:
    await work.db.execute(
        update(t.import_file)
        .where(t.import_file.c.import_id == import_id)
        .values(
            state="refused", finished_at=work.now, refused_field=problem.field, refused_zh=problem.zh,
            refused_en=problem.en,
        )
    )  # fmt: skip
