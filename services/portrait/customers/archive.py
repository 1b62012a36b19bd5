"""Takes over what the marketing system says of a customer. All periods come anew, so corrections backwards replace."""

from datetime import date

from sqlalchemy import delete, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.schema import Table

from services.contracts.marketing import CustomerChanged
from services.contracts.portrait import CustomerProfileChanged
from services.kernel.auth.grants import set_owner_areas
from services.kernel.work import UnitOfWork
from services.portrait import tables as t
from services.portrait.customers.reassess import reassess
from services.portrait.metering.store import hold_usage_point


async def take_customer(work: UnitOfWork, *, changed: CustomerChanged) -> None:
    """Store the archive of one customer, wake what waited for it, publish the profile that follows."""
    await _store_customer(work, changed)
    await _store_accounts(work, changed)
    await _store_places(work, changed)
    await _hold_points(work, changed)
    await set_owner_areas(work, owner_id=changed.customer_id, area_ids=[a.service_area_id for a in changed.accounts])
    work.arrived("customer", changed.customer_id)
    for account in changed.accounts:
        work.arrived("account", account.account_id)
    await reassess(work, customer_id=changed.customer_id)


async def remove_customer(work: UnitOfWork, *, customer_id: str) -> None:
    """Forget the archive of a customer; readings, bills and scores stay under their owner until retention ends."""
    for table in (t.account_terms, t.account, t.usage_point, t.site, t.customer):
        await work.db.execute(delete(table).where(table.c.customer_id == customer_id))
    gone = await work.db.execute(
        update(t.profile)
        .where(t.profile.c.customer_id == customer_id, t.profile.c.body.is_not(None))
        .values(body=None, version=t.profile.c.version + 1)
        .returning(t.profile.c.version)
    )
    await set_owner_areas(work, owner_id=customer_id, area_ids=[])
    if gone.first() is not None:
        work.emit_deletion(CustomerProfileChanged, key=customer_id)


async def _store_customer(work: UnitOfWork, changed: CustomerChanged) -> None:
    values = {
        "version": changed.version,
        "name": changed.name,
        "former_names": list(changed.former_names),
        "group_id": changed.group_id,
        "key_account": changed.key_account,
    }
    await work.db.execute(
        upsert(t.customer)
        .values(customer_id=changed.customer_id, **values)
        .on_conflict_do_update(index_elements=["customer_id"], set_=values)
    )


async def _store_accounts(work: UnitOfWork, changed: CustomerChanged) -> None:
    ids = sorted(a.account_id for a in changed.accounts)
    owner = changed.customer_id
    for table in (t.account_terms, t.account):
        # Also the former owner's rows of an account that was taken over.
        await work.db.execute(delete(table).where((table.c.customer_id == owner) | table.c.account_id.in_(ids)))
    for account in sorted(changed.accounts, key=lambda a: a.account_id):
        await work.db.execute(
            insert(t.account).values(
                account_id=account.account_id, customer_id=owner, service_area_id=account.service_area_id
            )
        )
        periods = [
            {**terms.model_dump(), "account_id": account.account_id, "customer_id": owner} for terms in account.terms
        ]
        await work.db.execute(insert(t.account_terms), periods)


async def _store_places(work: UnitOfWork, changed: CustomerChanged) -> None:
    sites = [{**s.model_dump(), "customer_id": changed.customer_id} for s in changed.sites]
    points = [{**p.model_dump(), "customer_id": changed.customer_id} for p in changed.usage_points]
    for table, key, rows in ((t.usage_point, "usage_point_id", points), (t.site, "site_id", sites)):
        await _replace(work, table, key=key, owner=changed.customer_id, rows=rows)


async def _replace(work: UnitOfWork, table: Table, *, key: str, owner: str, rows: list[dict[str, object]]) -> None:
    ids = [row[key] for row in rows]
    await work.db.execute(delete(table).where((table.c.customer_id == owner) | table.c[key].in_(ids)))
    if rows:
        listed = [{k: list(v) if isinstance(v, tuple) else v for k, v in row.items()} for row in rows]
        await work.db.execute(insert(table), listed)


async def _hold_points(work: UnitOfWork, changed: CustomerChanged) -> None:
    """Who held a usage point when: from the first terms of its account on, or from the day it was taken over."""
    first = {a.account_id: min(terms.valid_from for terms in a.terms) for a in changed.accounts}
    connection = await work.raw()
    for point in sorted(changed.usage_points, key=lambda p: p.usage_point_id):
        held = t.usage_point_holder
        rows = (await work.db.execute(select(held).where(held.c.usage_point_id == point.usage_point_id))).all()
        others = [(r.from_day, r.to_day, r.customer_id) for r in rows if r.customer_id != changed.customer_id]
        own = [(r.from_day, r.to_day, r.customer_id) for r in rows if r.customer_id == changed.customer_id]
        if own and any(to is None for _, to, _ in others):
            continue  # handed on already; this is the former holder speaking late
        begin = _begin(changed, {customer for _, _, customer in others}, first.get(point.account_id))
        if begin is None:
            continue
        periods = [(start, min(end or begin, begin), who) for start, end, who in others if start < begin]
        await hold_usage_point(
            connection, usage_point_id=point.usage_point_id, periods=[*periods, (begin, None, changed.customer_id)]
        )
        await _adopt_registers(work, usage_point_id=point.usage_point_id, customer_id=changed.customer_id)


def _begin(changed: CustomerChanged, others: set[str], first_terms: date | None) -> date | None:
    taken = [s.effective_on for s in changed.successions if s.other_customer_id in others]
    return max(taken) if taken else first_terms


async def _adopt_registers(work: UnitOfWork, *, usage_point_id: str, customer_id: str) -> None:
    for table in (t.register_reading, t.meter_change):
        await work.db.execute(
            update(table)
            .where(table.c.usage_point_id == usage_point_id, table.c.customer_id.is_(None))
            .values(customer_id=customer_id)
        )
