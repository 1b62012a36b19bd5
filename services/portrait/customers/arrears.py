"""Arrears per bill: opened and cleared in any order."""

from datetime import datetime

from sqlalchemy import func
from sqlalchemy.dialects.postgresql import insert as upsert

from services.contracts.marketing import ArrearsCleared, ArrearsOpened
from services.kernel.work import UnitOfWork
from services.portrait import tables as t
from services.portrait.customers.happenings import owner_of
from services.portrait.customers.reassess import reassess


async def open_arrears(work: UnitOfWork, *, opened: ArrearsOpened) -> None:
    owner = await owner_of(work, account_id=opened.account_id)
    values = {"account_id": opened.account_id, "since": opened.since, "amount_yuan": opened.amount_yuan}
    # A clearing that came first stays.
    statement = upsert(t.arrears).values(bill_id=opened.bill_id, customer_id=owner, **values)
    await work.db.execute(statement.on_conflict_do_update(index_elements=["bill_id"], set_=values))
    await reassess(work, customer_id=owner)


async def clear_arrears(work: UnitOfWork, *, cleared: ArrearsCleared) -> None:
    owner = await owner_of(work, account_id=cleared.account_id)
    at: datetime = cleared.cleared_at
    statement = upsert(t.arrears).values(
        bill_id=cleared.bill_id, customer_id=owner, account_id=cleared.account_id, cleared_at=at
    )
    earliest = func.least(t.arrears.c.cleared_at, statement.excluded.cleared_at)
    await work.db.execute(statement.on_conflict_do_update(index_elements=["bill_id"], set_={"cleared_at": earliest}))
    await reassess(work, customer_id=owner)
