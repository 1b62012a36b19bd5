"""The door for files: JSON lines as the HTTP door takes them, or CSV of one event type with its fields as columns.

A file is read twice: nothing enters before every line is good, and what enters goes the way of the HTTP door.
"""

import asyncio
import csv
import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

from pydantic import TypeAdapter, ValidationError

from services.contracts.envelope import Event
from services.kernel.door import MOST_EVENTS, Contracts, Place, broken, event_of, note
from services.kernel.errors import InvalidInput
from services.kernel.manifest import Service
from services.kernel.settings import KernelSettings
from services.kernel.work import EVERYTHING, Actor, Cause, Database

MOST_PROBLEMS = 20


class FileRefused(Exception):
    """`problems`: the first of what is wrong, each naming line, field and remedy. Nothing was taken."""

    def __init__(self, problems: list[InvalidInput]) -> None:
        super().__init__(f"{len(problems)} problems")
        self.problems = problems


async def take_file(*, service: Service, settings: KernelSettings, path: Path, type_: str | None) -> dict[str, int]:
    """Events taken by topic. The same file again makes the same event ids, which every consumer ignores.

    Raises `FileRefused`.
    """
    contracts = {event.TYPE: event for event in service.relays}
    digest = await asyncio.to_thread(_checked, path, contracts, type_)
    database = Database(service=service.name, metadata=service.metadata, settings=settings)
    actor = Actor(person_id="operator:command-line", role="data-publisher")
    taken: Counter[str] = Counter()
    try:
        for number, chunk in enumerate(_chunks(events_of_file(path, contracts=contracts, type_=type_))):
            cause = Cause(id=f"{digest}|{number}", source="file-door", type="events-accepted")
            topics = Counter(event.TOPIC for event in chunk)
            async with database.work(role="worker", cause=cause, actor=actor, scope=EVERYTHING) as work:
                for event in chunk:
                    work.emit(event)
                for topic, count in sorted(topics.items()):
                    await note(work, topic=topic, count=count)
            taken.update(topics)
    finally:
        await database.close()
    return dict(taken)


def _checked(path: Path, contracts: Contracts, type_: str | None) -> str:
    """The digest of a file whose every line is good."""
    check_file(path, contracts=contracts, type_=type_)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_file(path: Path, *, contracts: Contracts, type_: str | None) -> None:
    """Raises `FileRefused`."""
    problems: list[InvalidInput] = []
    for place, item in _items(path, contracts, type_):
        try:
            _event(place, item, contracts, type_)
        except InvalidInput as problem:
            problems.append(problem)
            if len(problems) == MOST_PROBLEMS:
                break
    if problems:
        raise FileRefused(problems)


def events_of_file(path: Path, *, contracts: Contracts, type_: str | None) -> Iterator[Event]:
    for place, item in _items(path, contracts, type_):
        yield _event(place, item, contracts, type_)


def _chunks(events: Iterator[Event]) -> Iterator[list[Event]]:
    while chunk := list(islice(events, MOST_EVENTS)):
        yield chunk


def _items(path: Path, contracts: Contracts, type_: str | None) -> Iterator[tuple[Place, Any]]:
    """Lines of the file, undecoded for JSON lines, as cells by column for CSV. A CSV file needs `type_`."""
    if path.suffix.lower() != ".csv":
        with path.open(encoding="utf-8-sig") as file:
            yield from ((Place.line(n), line) for n, line in enumerate(file, start=1) if line.strip())
        return
    contract = _contract_of_table(contracts, type_)
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        if unknown := sorted(set(reader.fieldnames or ()) - set(contract.model_fields)):
            columns = ", ".join(contract.model_fields)
            raise FileRefused([
                InvalidInput(
                    zh=f"第 1 行：没有列 {', '.join(unknown)}，可用：{columns}",
                    en=f"Line 1: no such column {', '.join(unknown)}; there are {columns}",
                    field=f"line 1.{unknown[0]}",
                )
            ])  # fmt: skip
        yield from ((Place.line(reader.line_num), row) for row in reader)


def _contract_of_table(contracts: Contracts, type_: str | None) -> type[Event]:
    if type_ in contracts:
        return contracts[type_]
    known = ", ".join(sorted(contracts))
    raise FileRefused([
        InvalidInput(
            zh=f"CSV 文件请用 --type 指明事件类型，可用：{known}",
            en=f"Say with --type which event a CSV file holds: {known}",
            field="--type",
        )
    ])  # fmt: skip


def _event(place: Place, item: Any, contracts: Contracts, type_: str | None) -> Event:
    if isinstance(item, dict):
        return _from_cells(place, item, contracts[str(type_)])
    try:
        told = json.loads(item)
    except ValueError as error:
        raise _no_event(place) from error
    if not isinstance(told, dict):
        raise _no_event(place)
    return event_of(told if type_ is None else {"type": type_, "data": told}, place=place, contracts=contracts)


def _no_event(place: Place) -> InvalidInput:
    return InvalidInput(
        zh=f'{place.zh}：每行须为一个 JSON 对象，如 {{"type": …, "data": {{…}}}}',
        en=f'{place.en}: every line is one JSON object such as {{"type": ..., "data": {{...}}}}',
        field=place.field,
    )


def _from_cells(place: Place, cells: dict[str | None, Any], contract: type[Event]) -> Event:
    """Empty cells are left out; cells that begin with [ or { are JSON."""
    if None in cells or None in cells.values():
        raise InvalidInput(
            zh=f"{place.zh}：单元格数与表头不符，请补齐或删去多余的。",
            en=f"{place.en}: other number of cells than the header has; complete the line or cut it.",
            field=place.field,
        )
    data = {}
    for name, cell in cells.items():
        if name is None or cell == "":
            continue
        adapter = _adapter(contract, name)
        try:
            data[name] = adapter.validate_json(cell) if cell[0] in "[{" else adapter.validate_strings(cell)
        except ValidationError as error:
            raise broken(error, place=place, within=name) from error
    try:
        return contract.model_validate(data)
    except ValidationError as error:
        raise broken(error, place=place, within="") from error


@lru_cache(maxsize=1_000)
def _adapter(contract: type[Event], field: str) -> TypeAdapter[Any]:
    info = contract.model_fields[field]
    with_its_limits: Any = Annotated[(info.annotation, *info.metadata, None)]
    return TypeAdapter(with_its_limits)
