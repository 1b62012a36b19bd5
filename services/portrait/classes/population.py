"""Reads what the classes look at over the whole population, as columns."""

from collections.abc import Sequence
from dataclasses import dataclass

import asyncpg
import numpy as np

from services.portrait.classes.tables import INDICATOR_COLUMNS
from services.portrait.rules.class_population import Population

_CHUNK = 20_000
_SELECT = f"""
SELECT f.customer_id, f.dual_supply, f.capacity_application, f.vetoes, {", ".join(f"f.{c}" for c in INDICATOR_COLUMNS)}
FROM portrait.class_facts f JOIN portrait.customer USING (customer_id) ORDER BY f.customer_id"""  # noqa: S608


@dataclass(frozen=True, kw_only=True)
class Everybody:
    """`population` in the order of `customer_ids`, which rises."""

    customer_ids: Sequence[str]
    vetoes: Sequence[Sequence[str]]
    population: Population


async def everybody(connection: "asyncpg.Connection[asyncpg.Record]") -> Everybody:
    """Needs a transaction; holds about 150 bytes a customer."""
    ids: list[str] = []
    vetoes: list[Sequence[str]] = []
    flags: list[np.ndarray] = []
    values: list[np.ndarray] = []
    cursor = await connection.cursor(_SELECT)
    while rows := await cursor.fetch(_CHUNK):
        ids += [row[0] for row in rows]
        vetoes += [tuple(row[3]) for row in rows]
        flags.append(np.array([(row[1], row[2]) for row in rows], dtype=bool))
        values.append(np.array([tuple(row)[4:] for row in rows], dtype=np.float64))
    both = np.concatenate(flags) if flags else np.zeros((0, 2), dtype=bool)
    table = np.concatenate(values) if values else np.zeros((0, len(INDICATOR_COLUMNS)))
    population = Population(
        columns={code: table[:, i] for i, code in enumerate(INDICATOR_COLUMNS)},
        dual_supply=both[:, 0],
        capacity_application=both[:, 1],
    )
    return Everybody(customer_ids=ids, vetoes=vetoes, population=population)
