"""Dated documents of scoring (score schemes, price lists): shipped ones, and those that two people put in force."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from functools import lru_cache
from typing import Any, Literal

from sqlalchemy import Row, insert, select, update

from services.kernel.errors import Conflict, InvalidInput, NotFound, SelfApproval
from services.kernel.work import UnitOfWork
from services.portrait import tables as t
from services.portrait.reference_data import shipped
from services.portrait.rules.efficiency_score import ScoreScheme
from services.portrait.rules.score_schemes import SchemeDocument, scheme_document_from
from services.portrait.rules.weak_points import PRICES

Kind = Literal["scheme", "prices"]
SCOPES = ("nation", "province", "company")
"""The nearest, which stands last, wins."""


@lru_cache(maxsize=1)
def _shipped_schemes() -> SchemeDocument:
    return scheme_document_from(shipped("score_scheme_demo"))


async def schemes_on(work: UnitOfWork, *, day: date) -> SchemeDocument:
    """The confirmed schemes of the day, or the shipped demonstration where nobody has entered any."""
    row = await _in_force(work, "scheme", day)
    return scheme_document_from(row.document) if row else _shipped_schemes()


async def schemes_named(work: UnitOfWork, *, version: str) -> SchemeDocument | None:
    """A version of the schemes, in force or not; what was entered never changes."""
    if version == _shipped_schemes().version:
        return _shipped_schemes()
    d = t.score_document.c
    query = select(d.document).where(d.kind == "scheme", d.version == version)
    document = (await work.db.execute(query)).scalar_one_or_none()
    return scheme_document_from(document) if document else None


async def scheme_named(work: UnitOfWork, *, version: str) -> ScoreScheme | None:
    """The scheme that a stored score names, also when it is no longer in force."""
    document = await schemes_named(work, version=version.split("/", maxsplit=1)[0])
    return document.named(version) if document else None


async def prices_on(work: UnitOfWork, *, day: date) -> tuple[str | None, Mapping[str, Decimal]]:
    """Version and prices in force; nothing is assumed where none were entered."""
    row = await _in_force(work, "prices", day)
    return (row.version, {n: Decimal(p) for n, p in row.document["prices"].items()}) if row else (None, {})


async def _in_force(work: UnitOfWork, kind: Kind, day: date) -> Row[Any] | None:
    d = t.score_document.c
    found = await work.db.execute(
        select(t.score_document).where(
            d.kind == kind,
            d.confirmed_by.is_not(None),
            d.effective_from <= day,
            d.effective_to.is_(None) | (d.effective_to > day),
        )
    )
    rows = found.all()
    return max(rows, key=lambda r: (SCOPES.index(r.scope_kind), r.effective_from, r.version), default=None)


async def enter_document(
    work: UnitOfWork, *, kind: Kind, version: str, scope: tuple[str, str], source: str, document: dict[str, Any]
) -> None:
    """Keep a document until a second person confirms it. Raises InvalidInput naming what is wrong, or Conflict."""
    said = {**document, "version": version}
    effective_from, effective_to = _checked(kind, said)
    known = t.score_document.c
    where = (known.kind == kind, known.version == version)
    taken = version == _shipped_schemes().version
    if taken or (await work.db.execute(select(known.version).where(*where))).first() is not None:
        raise Conflict(
            zh=f"版本 {version} 已存在，请使用新的版本号。",
            en=f"Version {version} exists; choose another.",
            field="version",
        )
    await work.db.execute(
        insert(t.score_document).values(
            kind=kind, version=version, scope_kind=scope[0], scope_id=scope[1], source=source, document=said,
            effective_from=effective_from, effective_to=effective_to, entered_by=work.actor.person_id,
            entered_at=work.now,
        )
    )  # fmt: skip
    await work.audit(action="document-entered", object_type=f"score-{kind}", object_id=version, after=said)


def _checked(kind: Kind, document: Mapping[str, Any]) -> tuple[date, date | None]:
    try:
        if kind == "scheme":
            found = scheme_document_from(document)
            return found.effective_from, found.effective_to
        for name, price in document["prices"].items():
            if name not in PRICES or Decimal(price) < 0:
                raise ValueError(f"prices.{name}: must be one of {', '.join(PRICES)} and not negative")
        until = document["effective_to"]
        return date.fromisoformat(document["effective_from"]), date.fromisoformat(until) if until else None
    except (KeyError, ValueError, ArithmeticError, TypeError, AttributeError) as error:
        words = f"{error.args[0]} is missing" if isinstance(error, KeyError) else str(error)
        raise InvalidInput(
            zh=f"文件内容有误：{words}", en=f"The document is not usable: {words}", field="document"
        ) from error


async def confirm_document(work: UnitOfWork, *, kind: Kind, version: str) -> None:
    """Raises NotFound, SelfApproval for the one who entered it, Conflict when it is confirmed already."""
    d = t.score_document.c
    query = select(t.score_document).where(d.kind == kind, d.version == version).with_for_update()
    row = (await work.db.execute(query)).first()
    if row is None:
        raise NotFound(what_zh="文件版本", what_en="document version", field="version")
    if row.entered_by == work.actor.person_id:
        raise SelfApproval(
            zh="录入人不得自行确认，请由另一人确认。",
            en="Whoever entered it may not confirm it; ask a second person.",
            field="Authorization",
        )
    if row.confirmed_by is not None:
        raise Conflict(zh="该版本已确认。", en="This version is confirmed already.", field="version")
    await work.db.execute(
        update(t.score_document)
        .where(d.kind == kind, d.version == version)
        .values(confirmed_by=work.actor.person_id, confirmed_at=work.now)
    )
    await work.audit(action="document-confirmed", object_type=f"score-{kind}", object_id=version)


async def documents(work: UnitOfWork, *, kind: Kind) -> list[Row[Any]]:
    d = t.score_document.c
    found = await work.db.execute(select(t.score_document).where(d.kind == kind).order_by(d.effective_from, d.version))
    return list(found.all())
