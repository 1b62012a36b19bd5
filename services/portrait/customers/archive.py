"""Takes over what the marketing system says of a customer. All periods come anew, so corrections backwards replace."""

from datetime import date

from sqlalchemy import delete, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.schema import Table

from services.contracts.marketing import Account, CustomerChanged
from services.contracts.portrait import CustomerProfileChanged
from services.kernel.auth.grants import set_owner_areas
from services.kernel.work import UnitOfWork
from services.portrait import tables as t
from services.portrait.customers.reassess import reassess
from services.portrait.customers.search import index_customer
from services.portrait.metering.changes import note_days
from services.portrait.metering.store import hold_usage_point


async def take_customer(work: UnitOfWork, *, changed: CustomerChanged) -> None:
    """Store the archive of one customer, wake what waited for it, publish the profiles that follow."""
    await _store_customer(work, changed)
    await index_customer(work, changed=changed)
    held = await _hold_points(work, changed)
    former = await _former_owners(work, held)
    await _store_accounts(work, held)
    await _store_places(work, held)
    await set_owner_areas(work, owner_id=held.customer_id, area_ids=[a.service_area_id for a in held.accounts])
    work.arrived("customer", held.customer_id)
    for account in held.accounts:
        work.arrived("account", account.account_id)
    for customer_id in sorted({held.customer_id, *former}):
        await reassess(work, customer_id=customer_id)


async def _former_owners(work: UnitOfWork, changed: CustomerChanged) -> set[str]:
    """Customers whose accounts this archive takes over."""
    a = t.account.c
    ids = [account.account_id for account in changed.accounts]
    found = await work.db.execute(
        select(a.customer_id).where(a.account_id.in_(ids), a.customer_id != changed.customer_id)
    )
    return set(found.scalars())


async def remove_customer(work: UnitOfWork, *, customer_id: str) -> None:
    """Forget the archive of a customer; readings, bills and scores stay under their owner until retention ends."""
    for table in (t.account_terms, t.account, t.usage_point, t.site, t.search_term, t.customer):
        await work.db.execute(delete(table).where(table.c.customer_id == customer_id))
    gone = await work.db.execute(
        update(t.profile)
        .where(t.profile.c.customer_id == customer_id, t.profile.c.body.is_not(None))
        .values(body=None, version=t.profile.c.version + 1)
        .returning(t.profile.c.version)
    )
    await set_owner_areas(work, owner_id=customer_id, area_ids=[])
    if gone.first() is not None:
        work.emit_deletion(CustomerProfileChanged, aggregate_id=customer_id)


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


async def _hold_points(work: UnitOfWork, changed: CustomerChanged) -> CustomerChanged:
    """Note who held a usage point when; returns the archive without what another customer has taken over since.

    The topic keeps order per customer only, so a former holder may speak after its successor.
    """
    accounts = {a.account_id: a for a in changed.accounts}
    connection = await work.raw()
    handed_on = set()
    for point in sorted(changed.usage_points, key=lambda p: p.usage_point_id):
        held = t.usage_point_holder
        rows = (await work.db.execute(select(held).where(held.c.usage_point_id == point.usage_point_id))).all()
        others = [(r.from_day, r.to_day, r.customer_id) for r in rows if r.customer_id != changed.customer_id]
        own = [r.from_day for r in rows if r.customer_id == changed.customer_id]
        begin = _begin(changed, accounts[point.account_id], others={who for _, _, who in others}, own=own)
        later = [start for start, _, _ in others if start > begin]
        earlier = [(start, min(end or begin, begin), who) for start, end, who in others if start < begin]
        successors = [period for period in others if period[0] > begin]
        mine = (begin, min(later, default=None), changed.customer_id)
        moved = await hold_usage_point(
            connection, usage_point_id=point.usage_point_id, periods=[*earlier, mine, *successors]
        )
        await note_days(work, days=[(point.usage_point_id, day) for day in moved])
        if later:
            handed_on.add(point.usage_point_id)
        else:
            await _adopt_registers(work, usage_point_id=point.usage_point_id, customer_id=changed.customer_id)
    return _without(changed, handed_on)


def _begin(changed: CustomerChanged, account: Account, *, others: set[str], own: list[date]) -> date:
    """The day from which this customer holds the account's points: once known it stays, else a takeover names it."""
    if own:
        return min(own)
    taken = [s.effective_on for s in changed.successions if s.other_customer_id in others]
    first = min(terms.valid_from for terms in account.terms)
    goes_on = any(terms.valid_to is None for terms in account.terms)
    return max(taken) if taken and goes_on else first


def _without(changed: CustomerChanged, handed_on: set[str]) -> CustomerChanged:
    """Accounts and sites go with their points, when all of these are handed on."""
    kept = [p for p in changed.usage_points if p.usage_point_id not in handed_on]
    gone = [p for p in changed.usage_points if p.usage_point_id in handed_on]
    accounts = {p.account_id for p in gone} - {p.account_id for p in kept}
    sites = {p.site_id for p in gone} - {p.site_id for p in kept}
    return changed.model_copy(
        update={
            "usage_points": tuple(kept),
            "accounts": tuple(a for a in changed.accounts if a.account_id not in accounts),
            "sites": tuple(s for s in changed.sites if s.site_id not in sites),
        }
    )


async def _adopt_registers(work: UnitOfWork, *, usage_point_id: str, customer_id: str) -> None:
    for table in (t.register_reading, t.meter_change):
        await work.db.execute(
            update(table)
            .where(table.c.usage_point_id == usage_point_id, table.c.customer_id.is_(None))
            .values(customer_id=customer_id)
        )
