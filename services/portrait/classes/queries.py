"""Reads of the class routes."""

import numpy as np
from sqlalchemy import select

from services.kernel.auth.grants import visible
from services.kernel.errors import NotFound
from services.kernel.work import UnitOfWork
from services.portrait import tables as t
from services.portrait.classes import schemas
from services.portrait.classes.in_force import rules_in_force
from services.portrait.classes.population import everybody
from services.portrait.customers.calendar import local_day
from services.portrait.rules.class_population import target_scores
from services.portrait.rules.target_vetoes import VETOES


async def rules_said(work: UnitOfWork) -> schemas.RulesInForceSaid:
    now = await rules_in_force(work, day=local_day(work.now))
    d = t.class_document
    rows = (await work.db.execute(select(d).order_by(d.c.effective_from.desc(), d.c.version).limit(100))).all()
    names = schemas.RulesLine.model_fields
    return schemas.RulesInForceSaid(
        version=now.for_classes.version,
        document=dict(now.document),
        entered=[schemas.RulesLine(**{name: row._mapping[name] for name in names}) for row in rows],
    )


async def membership_changes(work: UnitOfWork, *, customer_id: str, limit: int) -> list[schemas.MembershipChange]:
    m = t.class_membership
    found = await work.db.execute(
        select(m)
        .where(m.c.customer_id == customer_id, visible(m.c.customer_id, work=work))
        .order_by(m.c.profile_version.desc(), m.c.class_name)
        .limit(limit)
    )
    names = schemas.MembershipChange.model_fields
    return [schemas.MembershipChange(**{name: row._mapping[name] for name in names}) for row in found]


async def target_list(work: UnitOfWork) -> schemas.TargetList:
    """Over all customers the caller may see: the share is one of them."""
    rules = await rules_in_force(work, day=local_day(work.now))
    seen = await everybody(await work.raw())
    targets = rules.document["targets"]
    scores = target_scores(population=seen.population, rules=rules.for_classes, weights=targets["weights"])
    clean = np.array([not vetoes for vetoes in seen.vetoes], dtype=bool)
    places = min(int(np.ceil(targets["top_share"] * len(scores))), 1_000)
    order = np.argsort(-scores, kind="stable")
    listed = [i for i in order.tolist() if clean[i]][:places]
    border = scores[listed[-1]] if listed else np.inf
    vetoed = [i for i in order.tolist() if not clean[i] and scores[i] >= border][:places]
    names = await _names(work, [seen.customer_ids[i] for i in (*listed, *vetoed)])

    def said(i: int) -> schemas.TargetCustomer:
        codes = list(seen.vetoes[i])
        return schemas.TargetCustomer(
            customer_id=seen.customer_ids[i],
            name=names.get(seen.customer_ids[i], ""),
            target_score=float(scores[i]),
            vetoes=codes,
            vetoes_zh=[VETOES[c][0] for c in codes],
            vetoes_en=[VETOES[c][1] for c in codes],
        )

    return schemas.TargetList(
        rule_version=rules.for_classes.version,
        customers=len(scores),
        listed=[said(i) for i in listed],
        vetoed=[said(i) for i in vetoed],
    )


async def _names(work: UnitOfWork, customer_ids: list[str]) -> dict[str, str]:
    c = t.customer.c
    found = await work.db.execute(select(c.customer_id, c.name).where(c.customer_id.in_(customer_ids)))
    return {row.customer_id: row.name for row in found}


async def analysis_run(work: UnitOfWork, *, run_id: str) -> schemas.AnalysisRun:
    r = t.analysis_run
    row = (await work.db.execute(select(r).where(r.c.run_id == run_id))).first()
    if row is None:
        raise NotFound(what_zh="分析任务", what_en="analysis", field="run_id")
    return schemas.AnalysisRun(**{name: row._mapping[name] for name in schemas.AnalysisRun.model_fields})


async def analysis_lines(work: UnitOfWork, *, run_id: str, after: str, limit: int) -> schemas.AnalysisLines:
    n = t.analysis_line
    found = await work.db.execute(
        select(n)
        .where(n.c.run_id == run_id, n.c.customer_id > after, visible(n.c.customer_id, work=work))
        .order_by(n.c.customer_id)
        .limit(limit + 1)
    )
    rows = found.all()
    items = [
        schemas.AnalysisLine(**{name: row._mapping[name] for name in schemas.AnalysisLine.model_fields})
        for row in rows[:limit]
    ]
    return schemas.AnalysisLines(items=items, next_after=items[-1].customer_id if len(rows) > limit else None)
