"""Analyses over the whole population, asked for by a person and executed by a job: what-if and segments."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sqlalchemy import insert, select, update

from services.kernel.work import UnitOfWork
from services.portrait import tables as t
from services.portrait.classes.in_force import rules_in_force
from services.portrait.classes.population import Everybody, everybody
from services.portrait.customers.calendar import local_day
from services.portrait.rules.class_population import STANDARDISED, memberships, standardised
from services.portrait.rules.classes import CLASS_NAMES, ClassName, ClassRules, class_rules_from
from services.portrait.solve.segments import segments

_KEEP = """
INSERT INTO portrait.analysis_line (run_id, customer_id, classes_before, classes_after, segment)
SELECT $1, l.customer_id, string_to_array(l.before, ','), string_to_array(l.after, ','), l.segment
FROM unnest($2::text[], $3::text[], $4::text[], $5::int[]) AS l(customer_id, before, after, segment)"""


async def ask(work: UnitOfWork, *, kind: str, parameters: Mapping[str, Any]) -> str:
    """The id of the run, which the job takes up."""
    run_id = str(work.new_id(f"analysis|{kind}"))
    await work.db.execute(
        insert(t.analysis_run).values(
            run_id=run_id,
            kind=kind,
            parameters=dict(parameters),
            requested_by=work.actor.person_id,
            requested_at=work.now,
        )
    )
    await work.audit(action=f"{kind}-asked", object_type="analysis", object_id=run_id, after=dict(parameters))
    return run_id


async def open_analyses(work: UnitOfWork) -> list[str]:
    r = t.analysis_run.c
    found = await work.db.execute(select(r.run_id).where(r.finished_at.is_(None)).order_by(r.requested_at, r.run_id))
    return list(found.scalars())


async def execute(work: UnitOfWork, *, run_id: str) -> None:
    """One transaction: the result and all lines, or nothing."""
    r = t.analysis_run
    run = (await work.db.execute(select(r).where(r.c.run_id == run_id))).one()
    all_of_them = await everybody(await work.raw())
    rules = (await rules_in_force(work, day=local_day(work.now))).for_classes
    if run.kind == "what-if":
        result, lines = await asyncio.to_thread(_what_if, all_of_them, rules, run.parameters)
    else:
        result, lines = await asyncio.to_thread(_segments, all_of_them, rules, run.parameters)
    if lines:
        await (await work.raw()).execute(_KEEP, run_id, *map(list, zip(*lines, strict=True)))
    await work.db.execute(update(r).where(r.c.run_id == run_id).values(finished_at=work.now, result=result))


Line = tuple[str, str, str, int | None]


def _what_if(
    all_of_them: Everybody, rules: ClassRules, parameters: Mapping[str, Any]
) -> tuple[dict[str, Any], list[Line]]:
    """Who would move under other thresholds; lines for those only."""
    other = class_rules_from(parameters["document"])
    before = memberships(population=all_of_them.population, rules=rules)
    after = memberships(population=all_of_them.population, rules=other)
    moved = np.zeros(len(all_of_them.customer_ids), dtype=bool)
    for name in CLASS_NAMES:
        moved |= before[name] != after[name]
    result: dict[str, Any] = {
        "rule_version": rules.version,
        "customers": len(all_of_them.customer_ids),
        "moved": int(moved.sum()),
        "classes": {
            name: {
                "before": int(before[name].sum()),
                "after": int(after[name].sum()),
                "enter": int((after[name] & ~before[name]).sum()),
                "leave": int((before[name] & ~after[name]).sum()),
            }
            for name in CLASS_NAMES
        },
    }
    lines: list[Line] = [
        (all_of_them.customer_ids[i], _named(before, i), _named(after, i), None) for i in np.flatnonzero(moved).tolist()
    ]
    return result, lines


def _segments(
    all_of_them: Everybody, rules: ClassRules, parameters: Mapping[str, Any]
) -> tuple[dict[str, Any], list[Line]]:
    z = standardised(population=all_of_them.population, rules=rules)
    matrix = np.column_stack([z[code] for code in STANDARDISED])
    common = {"rule_version": rules.version, "customers": len(matrix), "indicators": list(STANDARDISED)}
    try:
        found = segments(
            standardised=matrix, fewest=parameters["fewest"], most=parameters["most"], seed=parameters["seed"]
        )
    except ValueError as error:
        return {**common, "not_parted_because": str(error)}, []
    now = memberships(population=all_of_them.population, rules=rules)
    sizes = np.bincount(found.labels, minlength=len(found.centres))
    result: dict[str, Any] = {
        **common,
        "silhouettes": {str(k): value for k, value in found.silhouettes.items()},
        "segments": [
            {"segment": i, "customers": int(sizes[i]), "centre": [float(v) for v in found.centres[i]]}
            for i in range(len(sizes))
        ],
    }
    lines: list[Line] = [
        (customer_id, _named(now, i), _named(now, i), int(found.labels[i]))
        for i, customer_id in enumerate(all_of_them.customer_ids)
    ]
    return result, lines


def _named(held: Mapping[ClassName, Sequence[bool] | np.ndarray], i: int) -> str:
    return ",".join(name for name in CLASS_NAMES if held[name][i])
