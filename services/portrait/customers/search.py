"""Finding a customer by what somebody remembers of it."""

from collections.abc import Sequence

from sqlalchemy import case, delete, func, insert, select

from services.contracts.marketing import CustomerChanged
from services.kernel.auth.grants import visible
from services.kernel.errors import InvalidInput
from services.kernel.work import UnitOfWork
from services.portrait import tables as t
from services.portrait.adapters.pinyin import name_initials
from services.portrait.customers import schemas
from services.portrait.rules.search_terms import folded, terms

_ANYWHERE = ("name", "former-name", "address")
"""Kinds in which the words may stand anywhere; numbers and initials are found by their beginning."""


async def index_customer(work: UnitOfWork, *, changed: CustomerChanged) -> None:
    """Replace the terms of one customer."""
    table = t.search_term
    await work.db.execute(delete(table).where(table.c.customer_id == changed.customer_id))
    found = terms(
        numbers=[
            ("customer", changed.customer_id),
            *(("account", a.account_id) for a in changed.accounts),
            *(("usage-point", p.usage_point_id) for p in changed.usage_points),
            *(("meter", p.meter_id) for p in changed.usage_points if p.meter_id),
        ],
        texts=[
            ("name", changed.name),
            *(("former-name", name) for name in changed.former_names),
            *(("address", site.address) for site in changed.sites),
        ],
        name_initials=[i for name in (changed.name, *changed.former_names) for i in name_initials(name)],
    )
    rows = [{"customer_id": changed.customer_id, "kind": kind, "term": term[:400]} for kind, term in sorted(found)]
    await work.db.execute(insert(table), rows)


async def search(work: UnitOfWork, *, words: str, limit: int) -> list[schemas.Found]:
    """Exact numbers first, then beginnings, then words inside names and addresses. Raises InvalidInput if empty."""
    wanted = folded(words)
    if not wanted:
        raise InvalidInput(zh="请输入要查找的内容。", en="Say what to look for.", field="q")
    s = t.search_term
    begins, holds = s.c.term.startswith(wanted, autoescape=True), s.c.term.contains(wanted, autoescape=True)
    rank = case((s.c.term == wanted, 0), (begins, 1), else_=2)
    hits = (
        select(s.c.customer_id, func.min(rank).label("rank"), func.array_agg(s.c.kind.distinct()).label("kinds"))
        .where(begins | (s.c.kind.in_(_ANYWHERE) & holds), visible(s.c.customer_id, work=work))
        .group_by(s.c.customer_id)
        .order_by("rank", s.c.customer_id)
        .limit(limit)
        .subquery()
    )
    c = t.customer.c
    found = await work.db.execute(
        select(hits.c.customer_id, hits.c.kinds, c.name, c.former_names)
        .join(t.customer, c.customer_id == hits.c.customer_id)
        .order_by(hits.c.rank, hits.c.customer_id)
    )
    return [
        schemas.Found(customer_id=r.customer_id, name=r.name, former_names=r.former_names, found_by=_ordered(r.kinds))
        for r in found
    ]


def _ordered(kinds: Sequence[str]) -> list[str]:
    return sorted(set(kinds))
