"""`python -m services.portrait.exchange FILE`: hand a file to the running service from the command line.

The file goes the same way as over HTTP: parts into the database, then the worker's job, the outbox and the topic.
Prints the progress and every row that was not taken; exit code 1 when there were such rows, 2 when the file was
refused.
"""

import argparse
import asyncio
import hashlib
import os
import sys
from pathlib import Path
from typing import Any

from services.kernel.settings import KernelSettings
from services.kernel.work import EVERYTHING, Actor, Cause, Database
from services.portrait import tables
from services.portrait.adapters.readings import REASONS, Hints
from services.portrait.exchange import imports


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m services.portrait.exchange", description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--by", default=f"operator:{os.environ.get('USER', 'command-line')}", help="who imports")
    parser.add_argument("--encoding", choices=["utf-8", "gb18030", "utf-16"])
    parser.add_argument("--usage-point-id")
    parser.add_argument(
        "--channel", choices=["active-import", "active-export", "reactive-lagging", "reactive-leading"]
    )  # fmt: skip
    parser.add_argument("--unit")
    parser.add_argument("--step-minutes", type=int, choices=[15, 30, 60])
    parser.add_argument("--stamps", choices=["start", "end"])
    parser.add_argument("--every", type=float, default=1.0, help="seconds between looks at the progress")
    return parser.parse_args(argv)


async def hand_over(options: argparse.Namespace, settings: KernelSettings) -> int:
    database = Database(service="portrait", metadata=tables.metadata, settings=settings)
    try:
        import_id = await _send(options, database)
        return await _follow(options, database, import_id)
    finally:
        await database.close()


def _work(database: Database, options: argparse.Namespace, step: str) -> Any:
    cause = Cause(id=f"import|{options.file.name}|{step}", source="command-line", type="import")
    actor = Actor(person_id=options.by, role="data-publisher")
    return database.work(role="worker", cause=cause, actor=actor, scope=EVERYTHING)


async def _send(options: argparse.Namespace, database: Database) -> str:
    size, digest = options.file.stat().st_size, _sha256(options.file)
    if not 1 <= size <= imports.MOST_BYTES:
        sys.exit(f"文件须为 1 至 {imports.MOST_BYTES} 字节。 The file has to be 1 to {imports.MOST_BYTES} bytes.")
    hints = Hints(**{name: getattr(options, name) for name in Hints.__dataclass_fields__})
    now = database.clock.now().isoformat()
    async with _work(database, options, f"{digest}|{now}") as work:
        import_id, parts = await imports.announce_import(
            work, file_name=options.file.name, size=size, sha256=digest, hints=hints
        )
    with options.file.open("rb") as file:
        for part in range(1, parts + 1):
            body = file.read(imports.PART_BYTES)
            async with _work(database, options, f"{import_id}|{part}") as work:
                await imports.take_part(work, import_id=import_id, part=part, body=body)
    return import_id


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


async def _follow(options: argparse.Namespace, database: Database, import_id: str) -> int:
    while True:
        async with _work(database, options, "look") as work:
            row = await imports.import_of(work, import_id=import_id)
        _say(f"{import_id} {row.state}: 行 rows {row.last_row}, 读数 readings {row.readings}, 错误 errors {row.errors}")
        if row.state == "refused":
            _say(f"{row.refused_field}: {row.refused_zh} {row.refused_en}")
            return 2
        if row.state == "done":
            return await _list_errors(options, database, import_id)
        await asyncio.sleep(options.every)


async def _list_errors(options: argparse.Namespace, database: Database, import_id: str) -> int:
    after, found = 0, False
    while True:
        async with _work(database, options, "errors") as work:
            rows = await imports.errors_of(work, import_id=import_id, after=after, limit=1_000)
        for row in rows:
            zh, en = REASONS[row.code]
            _say(f"row {row.row}\t{row.column}\t{row.text}\t{zh} {en}")
        if not rows:
            return 1 if found else 0
        after, found = rows[-1].ordinal, True


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(asyncio.run(hand_over(arguments(), KernelSettings())))
