"""When a warning begins, worsens or clears: stored and told in the transaction that saw it."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from sqlalchemy import Row, delete, func, insert, literal, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from services.contracts.portrait import UsageWarningCleared, UsageWarningRaised
from services.kernel.work import UnitOfWork
from services.portrait import tables as t
from services.portrait.in_month.assessing import Assessed, assess_customer, current_month
from services.portrait.rules.in_month import Kind, Line

CHUNK = 50
SETTLED, LONGEST_WAIT = timedelta(minutes=5), timedelta(minutes=30)
"""A customer is looked at when its data have rested so long, at the latest after the other: the readings of one
slot, or of a backlog, arrive over minutes, and half of them would warn of what is not so."""
_WORSE = {"near": 1, "exceeded": 2, "recoverable": 1, "lost": 2, "off-track": 1, "due": 1}


async def mark_due(work: UnitOfWork, *, customer_ids: Sequence[str]) -> None:
    rows = [{"customer_id": c, "since": work.now, "changed_at": work.now} for c in sorted(set(customer_ids))]
    if rows:
        statement = upsert(t.warning_due).values(rows)
        await work.db.execute(
            statement.on_conflict_do_update(
                index_elements=["customer_id"], set_={"changed_at": statement.excluded.changed_at}
            )
        )


async def mark_all_due(work: UnitOfWork) -> None:
    """Time alone changes warnings too: deadlines come nearer, months end, terms begin."""
    every = select(t.customer.c.customer_id, literal(work.now), literal(work.now))
    statement = upsert(t.warning_due).from_select(["customer_id", "since", "changed_at"], every)
    await work.db.execute(statement.on_conflict_do_nothing())


async def tell_next(work: UnitOfWork) -> int:
    """Look at the next customers whose month changed and rests; how many there were."""
    d = t.warning_due.c
    ripe = (d.changed_at <= work.now - SETTLED) | (d.since <= work.now - LONGEST_WAIT)
    oldest = select(d.customer_id).where(ripe).order_by(d.since, d.customer_id).limit(CHUNK)
    taken = await work.db.execute(
        delete(t.warning_due).where(d.customer_id.in_(oldest)).returning(d.customer_id)
    )  # fmt: skip
    ids = sorted(taken.scalars())
    for customer_id in ids:
        await tell_customer(work, customer_id=customer_id)
    return len(ids)


async def tell_customer(work: UnitOfWork, *, customer_id: str) -> None:
    w = t.usage_warning.c
    query = select(t.usage_warning).where(w.customer_id == customer_id, w.cleared_at.is_(None)).with_for_update()
    standing = {(row.account_id, row.kind): row for row in await work.db.execute(query)}
    month = current_month(work)
    over = [row for row in standing.values() if row.month != month]
    for row in over:
        await _clear(work, row, because="month-ended")
        del standing[row.account_id, row.kind]
    warned: dict[str, set[Kind]] = defaultdict(set)
    for account_id, kind in standing:
        warned[account_id].add(kind)
    frozen = {account: frozenset(kinds) for account, kinds in warned.items()}
    for assessed in await assess_customer(work, customer_id=customer_id, warned=frozen):
        for line in assessed.lines:
            known = standing.pop((assessed.account_id, line.kind), None)
            await _compare(work, _Seen(customer_id=customer_id, month=month, assessed=assessed, line=line), known)
    for row in standing.values():  # of accounts that are gone
        await _clear(work, row, because="account-gone")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    customer_id: str
    month: str
    assessed: Assessed
    line: Line


async def _compare(work: UnitOfWork, seen: _Seen, known: Row[Any] | None) -> None:
    """A line without data neither raises nor clears; a warning that gets milder stays as it was told."""
    line = seen.line
    if line.level is None:
        if known is not None and line.reason != "no-data":
            await _clear(work, known, because=line.reason or "well-again")
    elif known is None:
        await _raise(work, seen)
    elif _WORSE[line.level] > _WORSE[known.level]:
        values = {"level": line.level, "line": _document(line), "times_told": known.times_told + 1}
        await work.db.execute(
            update(t.usage_warning).where(t.usage_warning.c.warning_id == known.warning_id).values(**values)
        )
        work.emit(_raised(seen, known.warning_id, known.times_told + 1, work.now))


async def _raise(work: UnitOfWork, seen: _Seen) -> None:
    line, account = seen.line, seen.assessed.account_id
    w = t.usage_warning.c
    before = select(func.count()).where(w.account_id == account, w.kind == line.kind, w.month == seen.month)
    episode = (await work.db.execute(before)).scalar_one() + 1
    # Named by what it is, not by the job run that saw it, so that a replay names it alike.
    warning_id = str(uuid5(NAMESPACE_URL, f"keyline/usage-warning/{account}/{line.kind}/{seen.month}/{episode}"))
    await work.db.execute(
        insert(t.usage_warning).values(
            warning_id=warning_id, customer_id=seen.customer_id, account_id=account, kind=line.kind,
            month=seen.month, level=line.level, line=_document(line), times_told=1, began_at=work.now,
        )
    )  # fmt: skip
    work.emit(_raised(seen, warning_id, 1, work.now))


async def _clear(work: UnitOfWork, row: Row[Any], *, because: str) -> None:
    await work.db.execute(
        update(t.usage_warning)
        .where(t.usage_warning.c.warning_id == row.warning_id)
        .values(cleared_at=work.now, cleared_because=because)
    )
    work.emit(
        UsageWarningCleared(
            customer_id=row.customer_id, account_id=row.account_id, warning_id=row.warning_id,
            warning_kind=row.kind, month=row.month, because=because, cleared_at=work.now,
        )
    )  # fmt: skip


def _raised(seen: _Seen, warning_id: str, ordinal: int, now: datetime) -> UsageWarningRaised:
    line = seen.line
    figures = line.figures
    return UsageWarningRaised(
        customer_id=seen.customer_id,
        account_id=seen.assessed.account_id,
        warning_id=warning_id,
        ordinal=ordinal,
        warning_kind=line.kind,
        level=line.level,  # type: ignore[arg-type]  # told only with a level
        month=seen.month,
        value=line.value,  # type: ignore[arg-type]
        limit=line.limit,  # type: ignore[arg-type]
        unit=line.unit,
        recoverable_kvarh=figures.get("recoverable_kvarh"),
        apply_until=seen.assessed.deadlines[1].apply_until if line.kind in ("demand", "deadline") else None,
        data_until=seen.assessed.data_until,
        raised_at=now,
    )


def _document(line: Line) -> dict[str, Any]:
    figures = {name: value if isinstance(value, bool) else str(value) for name, value in line.figures.items()}
    return {"value": str(line.value), "limit": str(line.limit), "unit": line.unit, "figures": figures}
