"""The view of customers: name, accounts, and in which service areas they lie."""

from sqlalchemy import delete, insert
from sqlalchemy.dialects.postgresql import insert as upsert

from services.contracts.portrait import CustomerProfileChanged
from services.kernel.auth.grants import set_owner_areas
from services.kernel.work import UnitOfWork
from services.notify.tables import account, customer


async def store_customer(work: UnitOfWork, *, profile: CustomerProfileChanged) -> None:
    known = {
        "name": profile.name, "key_account": profile.key_account, "importance_grade": profile.importance_grade,
        "classes": list(profile.classes),
        "industry_classes": sorted({a.industry_class for a in profile.accounts if a.industry_class}),
    }  # fmt: skip
    statement = upsert(customer).values(customer_id=profile.customer_id, **known)
    await work.db.execute(statement.on_conflict_do_update(index_elements=[customer.c.customer_id], set_=known))
    ids = [a.account_id for a in profile.accounts]
    # An account that moved to another customer (过户) leaves the former one.
    await work.db.execute(
        delete(account).where((account.c.customer_id == profile.customer_id) | account.c.account_id.in_(ids))
    )
    rows = [
        {
            "account_id": a.account_id, "customer_id": profile.customer_id, "service_area_id": a.service_area_id,
            "voltage_kv": a.voltage_kv,
        }
        for a in profile.accounts
    ]  # fmt: skip
    if rows:
        await work.db.execute(insert(account), rows)
    areas = [a.service_area_id for a in profile.accounts]
    await set_owner_areas(work, owner_id=profile.customer_id, area_ids=areas)
    work.arrived("customer", profile.customer_id)
    for account_id in ids:
        work.arrived("account", account_id)


async def remove_customer(work: UnitOfWork, *, customer_id: str) -> None:
    await work.db.execute(delete(account).where(account.c.customer_id == customer_id))
    await work.db.execute(delete(customer).where(customer.c.customer_id == customer_id))
    await set_owner_areas(work, owner_id=customer_id, area_ids=[])
