"""What people here know better than the archive: shown as a conflict, exported as a list for the archive's keepers."""

import csv
import io
from collections.abc import Iterable
from typing import Any

from sqlalchemy import select

from services.kernel.errors import NotFound
from services.kernel.work import UnitOfWork
from services.notify.directory import contacts
from services.notify.directory.precedence import Statement, conflict
from services.notify.directory.reachability import engaged_now
from services.notify.directory.vault import masked, vault
from services.notify.tables import contact, engagement, person

LIST_COLUMNS = (
    "person_id", "kind", "archive_value", "local_value", "source", "said_at", "confirmed_at", "said_by",
)  # fmt: skip


async def conflicts(work: UnitOfWork, *, clear: bool = False) -> list[dict[str, Any]]:
    """In the caller's scope; addresses are masked unless `clear`, which the export alone uses."""
    found = []
    for rows in (await _by_address(work)).values():
        differs = conflict(
            Statement(source=r.source, index=r.blind_index, said_at=r.said_at, usable=r.unusable_because is None)
            for r in rows
        )
        if differs is None:
            continue
        local, archive = ({r.source: r for r in rows}[s.source] for s in differs)
        values = [_value(r, clear=clear) for r in (archive, local)]
        found.append(
            {
                "person_id": local.person_id, "kind": local.kind, "archive_value": values[0],
                "local_value": values[1], "source": local.source, "said_at": local.said_at,
                "confirmed_at": local.confirmed_at, "said_by": local.said_by,
            }
        )  # fmt: skip
    return found


async def change_list(work: UnitOfWork) -> str:
    """CSV for whoever keeps the archive; who took it is on record."""
    rows = await conflicts(work, clear=True)
    out = io.StringIO()
    writer = csv.DictWriter(out, LIST_COLUMNS, lineterminator="\r\n", quoting=csv.QUOTE_ALL)
    writer.writeheader()
    writer.writerows(_plain(rows))
    await work.audit(
        action="contact-changes-exported", object_type="contact", object_id="change-list", after={"rows": len(rows)}
    )
    return "\ufeff" + out.getvalue()


async def accept_archive(work: UnitOfWork, *, person_id: str, kind: str) -> None:
    """The archive is right after all: the local statements go. Raises `NotFound` where nothing differs."""
    known = [c for c in await conflicts(work) if (c["person_id"], c["kind"]) == (person_id, kind)]
    if not known:
        raise NotFound(what_zh="联系方式差异", what_en="difference", field="person_id")
    for source in ("person", "customer", "manager"):
        await contacts.withdraw(work, person_id=person_id, kind=kind, source=source)
    await work.audit(action="contact-archive-accepted", object_type="contact", object_id=f"{person_id}/{kind}")


async def _by_address(work: UnitOfWork) -> dict[tuple[str, str], list[Any]]:
    in_reach = select(engagement.c.person_id).where(*engaged_now(work))
    query = select(contact, person.c.wrapped_key).join_from(contact, person).where(contact.c.person_id.in_(in_reach))
    found: dict[tuple[str, str], list[Any]] = {}
    for row in await work.db.execute(query.order_by(contact.c.person_id, contact.c.kind, contact.c.source)):
        found.setdefault((row.person_id, row.kind), []).append(row)
    return found


def _value(row: Any, *, clear: bool) -> str:
    value = vault().unwrap(row.wrapped_key, person_id=row.person_id).open(row.value_cipher, field=row.kind)
    return value if clear else masked(value)


def _plain(rows: Iterable[dict[str, Any]]) -> list[dict[str, str]]:
    """A cell that a spreadsheet would read as a formula is led by an apostrophe; `+86...` stays a phone number."""
    lines = []
    for row in rows:
        cells = {name: "" if row[name] is None else str(row[name]) for name in LIST_COLUMNS}
        lines.append({n: f"'{v}" if v[:1] in ("=", "-", "@", "\t", "\r") else v for n, v in cells.items()})
    return lines
