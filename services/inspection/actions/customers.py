"""The view of customers, sites and assets, rebuilt from the archive's profile; deletion forgets it with the plan."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from sqlalchemy import Table, delete, select, update
from sqlalchemy.dialects.postgresql import insert

from services.contracts.portrait import CustomerProfileChanged
from services.inspection.actions import plan
from services.inspection.rules.inspection_cycle import URGENT_ATTENTION
from services.inspection.tables import asset, customer, equipment_state, inspection_plan, site
from services.kernel.auth.grants import set_owner_areas
from services.kernel.work import UnitOfWork


async def store_profile(work: UnitOfWork, *, profile: CustomerProfileChanged) -> None:
    await _store_customer(work, profile)
    areas = [account.service_area_id for account in profile.accounts]
    await set_owner_areas(work, owner_id=profile.customer_id, area_ids=areas)
    await _store_sites(work, profile)
    for place in sorted(profile.sites, key=lambda s: s.site_id):
        await _plan_first_visit(work, customer_id=profile.customer_id, site_id=place.site_id)
        await plan.recalculate(work, site_id=place.site_id)
    work.arrived("customer", profile.customer_id)


async def forget_customer(work: UnitOfWork, *, customer_id: str) -> None:
    """Visits and hazards stay as records; nobody outside `everything` sees them once the areas are gone."""
    for table in (equipment_state, inspection_plan, asset, site, customer):
        await work.db.execute(delete(table).where(table.c.customer_id == customer_id))
    await set_owner_areas(work, owner_id=customer_id, area_ids=[])


async def _store_customer(work: UnitOfWork, profile: CustomerProfileChanged) -> None:
    known = select(customer.c.urgent_since).where(customer.c.customer_id == profile.customer_id).with_for_update()
    urgent_since: date | None = (await work.db.execute(known)).scalar_one_or_none()
    if profile.attention_level < URGENT_ATTENTION:
        urgent_since = None
    values = {
        "customer_id": profile.customer_id,
        "name": profile.name,
        "importance_grade": profile.importance_grade,
        "highest_kv": max((a.voltage_kv for a in profile.accounts), default=Decimal(0)),
        "classes": list(profile.classes),
        "attention_level": profile.attention_level,
        "urgent_since": urgent_since or (plan.today(work) if profile.attention_level >= URGENT_ATTENTION else None),
        "cycle_factor": profile.cycle_factor,
        "profile_version": profile.version,
    }
    await _upsert(work, customer, key="customer_id", rows=[values])


async def _store_sites(work: UnitOfWork, profile: CustomerProfileChanged) -> None:
    owner = profile.customer_id
    accounts: dict[str, set[str]] = {}
    for point in profile.usage_points:
        accounts.setdefault(point.site_id, set()).add(point.account_id)
    sites = [
        {
            "site_id": s.site_id,
            "customer_id": owner,
            "name": s.name,
            # A site of several accounts belongs to none of them alone.
            "account_id": next(iter(accounts[s.site_id])) if len(accounts.get(s.site_id, ())) == 1 else None,
        }
        for s in sorted(profile.sites, key=lambda s: s.site_id)
    ]
    assets = [{"asset_id": a, "customer_id": owner, "site_id": s.site_id} for s in profile.sites for a in s.asset_ids]
    gone_site = ~site.c.site_id.in_([s["site_id"] for s in sites])
    gone_asset = ~asset.c.asset_id.in_([a["asset_id"] for a in assets])
    await work.db.execute(delete(site).where(site.c.customer_id == owner, gone_site))
    await work.db.execute(
        delete(inspection_plan).where(
            inspection_plan.c.customer_id == owner, ~inspection_plan.c.site_id.in_([s["site_id"] for s in sites])
        )
    )
    await work.db.execute(delete(asset).where(asset.c.customer_id == owner, gone_asset))
    await _upsert(work, site, key="site_id", rows=sites)
    await _upsert(work, asset, key="asset_id", rows=sorted(assets, key=lambda a: a["asset_id"]))
    for row in assets:
        work.arrived("asset", row["asset_id"])


async def _plan_first_visit(work: UnitOfWork, *, customer_id: str, site_id: str) -> None:
    """A site never visited counts as done on the day it became known, so its first cycle starts then."""
    day = plan.today(work)
    first = insert(inspection_plan).values(
        site_id=site_id,
        customer_id=customer_id,
        visit_id=str(work.new_id(f"planned-visit|{site_id}")),
        last_done_on=day,
        due_on=date.max,
        reason="cycle",
    )
    await work.db.execute(first.on_conflict_do_nothing(index_elements=["site_id"]))
    # A site that changed hands keeps its date and follows its new owner.
    await work.db.execute(
        update(inspection_plan).where(inspection_plan.c.site_id == site_id).values(customer_id=customer_id)
    )


async def _upsert(
    work: UnitOfWork, table: Table, *, key: str, rows: list[dict[str, Any]] | list[Mapping[str, Any]]
) -> None:
    if not rows:
        return
    statement = insert(table).values(rows)
    changed = {c.name: statement.excluded[c.name] for c in table.columns if c.name != key}
    await work.db.execute(statement.on_conflict_do_update(index_elements=[key], set_=changed))
