"""The door for files: announced with size and hash, taken in parts, read by a job once they are all there."""

import hashlib
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, delete, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from services.kernel.errors import Conflict, InvalidInput, NotFound
from services.kernel.work import UnitOfWork
from services.portrait import tables as t
from services.portrait.adapters.readings import Hints

PART_BYTES = 4_000_000
MOST_BYTES = 500_000_000


async def announce_import(work: UnitOfWork, *, file_name: str, size: int, sha256: str, hints: Hints) -> tuple[str, int]:
    """Id of the import and how many parts are expected, each but the last of PART_BYTES."""
    parts = -(-size // PART_BYTES)
    import_id = str(work.new_id(f"import|{file_name}|{sha256}"))
    told = {name: value for name in Hints.__dataclass_fields__ if (value := getattr(hints, name)) is not None}
    await work.db.execute(
        insert(t.import_file).values(
            import_id=import_id, requested_by=work.actor.person_id, requested_at=work.now, file_name=file_name,
            bytes=size, sha256=sha256, parts=parts, hints=told, state="receiving", items_done=0, readings=0, errors=0,
            events=0, last_row=0,
        )
    )  # fmt: skip
    await work.audit(
        action="import-announced", object_type="import", object_id=import_id,
        after={"file_name": file_name, "bytes": size, "sha256": sha256},
    )  # fmt: skip
    return import_id, parts


async def import_of(work: UnitOfWork, *, import_id: str, lock: bool = False) -> Row[Any]:
    """The caller's own import. Raises NotFound, also for somebody else's."""
    f = t.import_file.c
    query = select(t.import_file).where(f.import_id == import_id, f.requested_by == work.actor.person_id)
    row = (await work.db.execute(query.with_for_update() if lock else query)).first()
    if row is None:
        raise NotFound(what_zh="导入", what_en="import", field="import_id")
    return row


async def take_part(work: UnitOfWork, *, import_id: str, part: int, body: bytes) -> int:
    """How many parts are still missing; the last one to arrive makes the file ready to be read.

    Raises Conflict when the part came before with another content, or the import no longer receives.
    """
    file = await import_of(work, import_id=import_id, lock=True)
    wanted = PART_BYTES if part < file.parts else file.bytes - PART_BYTES * (file.parts - 1)
    if not 1 <= part <= file.parts or len(body) != wanted:
        raise InvalidInput(
            zh=f"第 {part} 部分应为 {wanted} 字节，共 {file.parts} 部分。",
            en=f"Part {part} has to be {wanted} bytes, of {file.parts} parts.",
            field="part",
        )
    p = t.import_part.c
    known = (await work.db.execute(select(p.body).where(p.import_id == import_id, p.part == part))).scalar()
    if file.state != "receiving" and known is None:
        raise Conflict(zh="该导入不再接收内容。", en="This import takes no more parts.", field="part")
    if known is not None and bytes(known) != body:
        raise Conflict(zh="该部分已收到不同的内容。", en="This part came before with another content.", field="part")
    statement = upsert(t.import_part).values(import_id=import_id, part=part, body=body)
    await work.db.execute(statement.on_conflict_do_nothing())
    await work.audit(
        action="import-part-taken", object_type="import", object_id=import_id,
        after={"part": part, "sha256": hashlib.sha256(body).hexdigest()},
    )  # fmt: skip
    here = (await work.db.execute(select(func.count()).where(p.import_id == import_id))).scalar_one()
    if here == file.parts and file.state == "receiving":
        await work.db.execute(
            update(t.import_file).where(t.import_file.c.import_id == import_id).values(state="reading")
        )
    return int(file.parts - here)


async def open_imports(work: UnitOfWork) -> Sequence[str]:
    f = t.import_file.c
    rows = await work.db.execute(select(f.import_id).where(f.state == "reading").order_by(f.requested_at, f.import_id))
    return list(rows.scalars())


async def errors_of(work: UnitOfWork, *, import_id: str, after: int, limit: int) -> Sequence[Row[Any]]:
    e = t.import_error.c
    query = (
        select(t.import_error)
        .where(e.import_id == import_id, e.ordinal > after)
        .order_by(e.ordinal)
        .limit(limit)
    )  # fmt: skip
    return (await work.db.execute(query)).all()


async def forget_parts(work: UnitOfWork, *, before: Any) -> None:
    """The file itself goes some time after it was read; the report and the errors stay."""
    f, p = t.import_file.c, t.import_part.c
    done = select(f.import_id).where(f.finished_at < before)
    await work.db.execute(delete(t.import_part).where(p.import_id.in_(done)))
