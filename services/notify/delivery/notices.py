"""Proof of notice for planned outages: who has to know, what proves that they do, whom somebody has to call."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import lru_cache
from importlib.resources import files
from typing import Any

from sqlalchemy import exists, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from services.contracts.notify import PlannedNoticeProven, PlannedNoticeUnproven
from services.contracts.outage import PlannedOutageCancelled, PlannedOutageChanged, PlannedOutagePublished
from services.kernel.auth.grants import visible
from services.kernel.clock import BUSINESS_ZONE
from services.kernel.errors import NotFound
from services.kernel.work import UnitOfWork
from services.notify import metrics
from services.notify.rules.proof import Level, Proof, ProofRule, Standing, best, rule_on, standing
from services.notify.tables import customer, delivery, delivery_account, notice_due, notice_proof, watched_outage

Plan = PlannedOutagePublished | PlannedOutageChanged | PlannedOutageCancelled
_IMPORTANT = frozenset({"special", "grade-1", "grade-2", "temporary"})
_COLUMNS = {
    Level.ACCEPTED: "accepted_at", Level.DELIVERED: "delivered_at", Level.OPENED: "opened_at",
    Level.ACKNOWLEDGED: "acknowledged_at",
}  # fmt: skip


@lru_cache(maxsize=1)
def proof_rules() -> tuple[ProofRule, ...]:
    raw = json.loads(files("services.notify.delivery").joinpath("proof_rules.json").read_text("utf-8"))
    return tuple(
        ProofRule(
            important=r["important"], temporary=r["temporary"], suffices=frozenset(Level(x) for x in r["suffices"]),
            lead=timedelta(hours=r["lead_hours"]), warn=timedelta(hours=r["warn_hours"]),
            valid_from=date.fromisoformat(r["valid_from"]), source=r["source"], status=r["status"],
        )
        for r in raw
    )  # fmt: skip


async def watch(work: UnitOfWork, *, plan: Plan) -> None:
    """From now on the notice of this plan has to be proven for every customer of its set; parts come one by one."""
    cancelled = work.now if isinstance(plan, PlannedOutageCancelled) else None
    row = {"outage_id": plan.outage_id, "version": plan.version, "starts_at": plan.starts_at,
           "temporary": plan.temporary, "cancelled_at": cancelled}  # fmt: skip
    put = upsert(watched_outage).values(row)
    await work.db.execute(
        put.on_conflict_do_update(
            index_elements=["outage_id"], set_=row, where=watched_outage.c.version <= put.excluded.version
        )
    )
    customers = sorted({a.customer_id for a in plan.affected.affected})
    if customers and cancelled is None:
        anew = {"version": plan.version, "standing": Standing.PENDING.value, "changed_at": work.now}
        due = upsert(notice_due).values([{"outage_id": plan.outage_id, "customer_id": c, **anew} for c in customers])
        await work.db.execute(
            due.on_conflict_do_update(
                index_elements=["outage_id", "customer_id"], set_=anew,
                where=notice_due.c.version < due.excluded.version,
            )
        )  # fmt: skip


async def judge(work: UnitOfWork) -> dict[Standing, int]:
    """Every watched outage that has not begun: say what changed. How many customers stand where."""
    w = watched_outage.c
    found: dict[Standing, int] = defaultdict(int)
    query = select(watched_outage).where(w.cancelled_at.is_(None), w.starts_at > work.now).order_by(w.outage_id)
    for plan in (await work.db.execute(query)).all():
        for line in await lines(work, plan=plan):
            found[line["standing"]] += 1
            if line["standing"].value != line["said"]:
                await _say(work, plan, line)
    for each in Standing:
        metrics.NOTICES.labels(each.value).set(found.get(each, 0))
    return dict(found)


async def lines(work: UnitOfWork, *, plan: Any) -> list[dict[str, Any]]:
    """One line per customer: whether it counts as important, its proofs, and where that leaves it now."""
    n = notice_due.c
    query = (
        select(n.customer_id, n.standing, customer.c.name, customer.c.importance_grade)
        .join_from(notice_due, customer, customer.c.customer_id == n.customer_id, isouter=True)
        .where(n.outage_id == plan.outage_id, n.version == plan.version, visible(n.customer_id, work=work))
        .order_by(n.customer_id)
    )
    rows = (await work.db.execute(query)).all()
    proofs = await proofs_of(work, plan=plan, customers=[r.customer_id for r in rows])
    day = plan.starts_at.astimezone(BUSINESS_ZONE).date()
    found = []
    for row in rows:
        important = row.importance_grade in _IMPORTANT
        rule = rule_on(proof_rules(), important=important, temporary=plan.temporary, day=day)
        own = proofs.get(row.customer_id, [])
        now_standing = standing(rule, proofs=own, starts_at=plan.starts_at, now=work.now)
        found.append({
            "customer_id": row.customer_id, "name": row.name or row.customer_id, "important": important,
            "said": row.standing, "standing": now_standing, "best": best(own), "proofs": own,
            "suffices": sorted(level.value for level in rule.suffices), "required_by": plan.starts_at - rule.lead,
        })  # fmt: skip
    return found


async def proofs_of(work: UnitOfWork, *, plan: Any, customers: Sequence[str]) -> dict[str, list[Proof]]:
    """Of messages to any of the customer's people, announcements and recorded calls, about the window as it is now.

    Who knew of an earlier window does not know of this one.
    """
    d, a = delivery.c, delivery_account.c
    found: dict[str, list[Proof]] = defaultdict(list)
    columns = [delivery.c[name] for name in _COLUMNS.values()]
    told = (
        select(a.customer_id, *columns)
        .join_from(delivery, delivery_account, a.delivery_id == d.delivery_id)
        .where(
            d.subject_id == plan.outage_id, d.event_class.in_(("planned-outage", "planned-outage-changed")),
            d.facts["version"].as_integer() == plan.version, a.customer_id.in_(customers),
        )
    )  # fmt: skip
    for row in (await work.db.execute(told)).mappings():
        for level, column in _COLUMNS.items():
            if row[column] is not None:
                found[row["customer_id"]].append(Proof(level=level, at=row[column]))
    p = notice_proof.c
    recorded = select(p.customer_id, p.level, p.at).where(
        p.outage_id == plan.outage_id, p.plan_version == plan.version, p.customer_id.in_(customers)
    )
    for other in await work.db.execute(recorded):
        found[other.customer_id].append(Proof(level=Level(other.level), at=other.at))
    return found


async def record(
    work: UnitOfWork, *, outage_id: str, customer_id: str, level: Level, person_id: str | None, words: str
) -> None:
    """A call was made, or the notice was published. Raises `NotFound`."""
    n = notice_due.c
    due = select(n.version).where(
        n.outage_id == outage_id, n.customer_id == customer_id, visible(n.customer_id, work=work)
    )
    version = (await work.db.execute(due)).scalar_one_or_none()
    if version is None:
        raise NotFound(what_zh="待告知客户", what_en="customer to be told", field="customer_id")
    row = {
        "proof_id": work.new_id(f"proof|{outage_id}|{customer_id}|{level.value}"), "outage_id": outage_id,
        "customer_id": customer_id, "plan_version": version, "person_id": person_id, "level": level.value,
        "words": words,
        "recorded_by": work.actor.person_id, "at": work.now,
    }  # fmt: skip
    await work.db.execute(insert(notice_proof).values(row))
    await work.audit(
        action=f"notice-{level.value}", object_type="outage", object_id=outage_id, owner_id=customer_id, after=row
    )


async def plan_of(work: UnitOfWork, *, outage_id: str) -> Any:
    """Raises `NotFound`, also where no customer of the caller is concerned."""
    n = notice_due.c
    concerned = exists().where(n.outage_id == outage_id, visible(n.customer_id, work=work))
    query = select(watched_outage).where(watched_outage.c.outage_id == outage_id, concerned)
    row = (await work.db.execute(query)).first()
    if row is None:
        raise NotFound(what_zh="计划停电", what_en="planned outage", field="outage_id")
    return row


async def _say(work: UnitOfWork, plan: Any, line: Mapping[str, Any]) -> None:
    now_standing: Standing = line["standing"]
    mine = (notice_due.c.outage_id == plan.outage_id, notice_due.c.customer_id == line["customer_id"])
    changed = update(notice_due).where(*mine).values(standing=now_standing.value, changed_at=work.now)
    await work.db.execute(changed)
    common: dict[str, Any] = {
        "customer_id": line["customer_id"], "outage_id": plan.outage_id, "plan_version": plan.version,
        "occurred_at": work.now,
    }  # fmt: skip
    required_by: datetime = line["required_by"]
    if now_standing is Standing.UNPROVEN:
        work.emit(PlannedNoticeUnproven(**common, important=line["important"], required_by=required_by))
    elif now_standing in (Standing.PROVEN, Standing.LATE):
        in_time = now_standing is Standing.PROVEN
        work.emit(PlannedNoticeProven(**common, level=line["best"].value, in_time=in_time))
    await work.audit(
        action=f"notice-{now_standing.value}", object_type="outage", object_id=plan.outage_id,
        owner_id=line["customer_id"],
    )  # fmt: skip
