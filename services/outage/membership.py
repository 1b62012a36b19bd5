"""Which usage points hang on a feeder's dead sections, whose they are, and in which order they are served."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import String, any_, literal, select, union
from sqlalchemy.dialects.postgresql import ARRAY

from services.kernel.work import UnitOfWork
from services.outage.rules.customer_priority import Standing, priority_key
from services.outage.tables import customer, feeder_section_point, usage_point, usage_point_feeder


@dataclass(frozen=True, kw_only=True)
class Member:
    usage_point_id: str
    account_id: str
    customer_id: str


async def points_without_supply(work: UnitOfWork, *, feeder_id: str, section_ids: Sequence[str]) -> list[str]:
    """Usage points of the sections; of the whole feeder, also those only the archive links to it, if none is named.

    A second feeder of a point does not take it out: whether it was switched over is not known here.
    """
    sections = feeder_section_point
    of_sections = select(sections.c.usage_point_id).where(sections.c.feeder_id == feeder_id)
    if section_ids:
        query = of_sections.where(sections.c.section_id.in_(sorted(set(section_ids)))).distinct()
        return sorted((await work.db.execute(query)).scalars())
    link = usage_point_feeder
    linked = select(link.c.usage_point_id).where(link.c.feeder_id == feeder_id)
    return sorted((await work.db.execute(union(of_sections, linked))).scalars())


async def known_members(work: UnitOfWork, *, usage_point_ids: Sequence[str]) -> list[Member]:
    """Those of the points whose owner is known, by the priority of their customers."""
    c, point = customer.c, usage_point.c
    wanted = any_(literal(list(usage_point_ids), ARRAY(String)))
    query = (
        select(
            point.usage_point_id, point.account_id, c.customer_id, c.importance_grade, c.high_reliability,
            c.attention_level, c.mean_load_kw,
        )
        .join_from(usage_point, customer, c.customer_id == point.customer_id)
        .where(point.usage_point_id == wanted)
    )  # fmt: skip
    ranked = []
    for row in (await work.db.execute(query)).all():
        standing = Standing(
            customer_id=row.customer_id,
            importance_grade=row.importance_grade,
            high_reliability=row.high_reliability,
            attention_level=row.attention_level,
            load_kw=row.mean_load_kw,
        )
        member = Member(usage_point_id=row.usage_point_id, account_id=row.account_id, customer_id=row.customer_id)
        ranked.append((priority_key(standing), member.account_id, member.usage_point_id, member))
    return [member for *_, member in sorted(ranked, key=lambda r: r[:3])]
