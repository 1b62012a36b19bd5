"""Circuit breakers per provider and per template, kept in the database: every replica and the operator see the same."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta

from sqlalchemy import and_, or_, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from services.kernel.work import UnitOfWork
from services.notify import metrics
from services.notify.tables import circuit

FAILURES_TO_OPEN = 10
"""Failures in a row of a provider that answers with transient errors or not at all."""
FIRST_PROBE = timedelta(seconds=30)
LONGEST_PROBE = timedelta(minutes=10)
PROBE_TAKES = timedelta(seconds=30)


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What a provider may be given now: everything but some templates, one message to probe with, or nothing."""

    closed: bool
    probe: bool = False
    shut_templates: frozenset[str] = frozenset()
    probe_templates: frozenset[str] = frozenset()


@dataclass(kw_only=True)
class Trouble:
    """What a batch of answers says of one provider."""

    successes: int = 0
    transient: int = 0
    account: str | None = None
    """Why the whole account is refused."""
    templates: dict[str, str] = field(default_factory=dict)
    worked: set[str] = field(default_factory=set)
    """Templates of which something was accepted."""
    pause: timedelta | None = None
    """A quota of the account is used up for so long."""


async def standing(work: UnitOfWork, *, provider: str) -> Standing:
    """A due probe is given to this caller alone: it is put off for the others in the same breath."""
    c = circuit.c
    rows = (await work.db.execute(select(circuit).where(c.provider == provider, c.open))).all()
    if not rows:
        return Standing(closed=True)
    due = update(circuit).where(c.provider == provider, c.open, c.probe_at <= work.now)
    mine = (await work.db.execute(due.values(probe_at=work.now + PROBE_TAKES).returning(c.template))).scalars()
    probes = set(mine)
    shut = {r.template for r in rows if r.template} - probes
    whole = any(r.template == "" for r in rows)
    return Standing(
        closed=not whole, probe=whole and "" in probes, shut_templates=frozenset(shut),
        probe_templates=frozenset(probes - {""}),
    )  # fmt: skip


async def note(work: UnitOfWork, *, provider: str, trouble: Trouble) -> None:
    """Close what works again, count what fails, open what has failed enough."""
    if trouble.successes:
        await _close(work, provider, {"", *trouble.worked})
    if trouble.account is not None:
        await _open(work, provider, "", trouble.account)
    elif trouble.pause is not None:
        await _open(work, provider, "", "quota used up", probe_in=trouble.pause)
    elif trouble.transient and not trouble.successes:
        await _count(work, provider, trouble.transient)
    for template_id, reason in sorted(trouble.templates.items()):
        await _open(work, provider, template_id, reason)


async def _close(work: UnitOfWork, provider: str, templates: Iterable[str]) -> None:
    c = circuit.c
    closing = update(circuit).where(
        c.provider == provider, c.template.in_(sorted(templates)), or_(c.open, c.failures > 0)
    )
    closed = closing.values(open=False, failures=0, times_opened=0, probe_at=None, reason=None)
    for row in await work.db.execute(closed.returning(c.provider, c.template)):
        metrics.CIRCUIT_OPEN.labels(row.provider, row.template).set(0)


async def _count(work: UnitOfWork, provider: str, failures: int) -> None:
    put = upsert(circuit).values(provider=provider, template="", open=False, failures=failures)
    counted = put.on_conflict_do_update(
        index_elements=["provider", "template"], set_={"failures": circuit.c.failures + failures}
    )
    row = (await work.db.execute(counted.returning(circuit.c.failures, circuit.c.open))).one()
    if row.open or row.failures >= FAILURES_TO_OPEN:
        await _open(work, provider, "", f"{row.failures} failures in a row")


async def _open(
    work: UnitOfWork, provider: str, template_id: str, reason: str, *, probe_in: timedelta | None = None
) -> None:
    """The wait before the next probe doubles as long as probes fail."""
    c = circuit.c
    find = select(c.times_opened).where(and_(c.provider == provider, c.template == template_id))
    times = (await work.db.execute(find.with_for_update())).scalar() or 0
    wait = probe_in or min(FIRST_PROBE * 2 ** min(times, 8), LONGEST_PROBE)
    values = {"open": True, "reason": reason[:200], "opened_at": work.now, "probe_at": work.now + wait,
              "times_opened": times + 1}  # fmt: skip
    put = upsert(circuit).values(provider=provider, template=template_id, failures=0, **values)
    await work.db.execute(put.on_conflict_do_update(index_elements=["provider", "template"], set_=values))
    metrics.CIRCUIT_OPEN.labels(provider, template_id).set(1)


async def close_by_hand(work: UnitOfWork, *, provider: str, template_id: str) -> bool:
    """Whether there was an open one."""
    c = circuit.c
    closing = update(circuit).where(c.provider == provider, c.template == template_id, c.open)
    closed = closing.values(open=False, failures=0, times_opened=0, probe_at=None, reason=None)
    found = (await work.db.execute(closed.returning(c.provider))).first()
    metrics.CIRCUIT_OPEN.labels(provider, template_id).set(0)
    return found is not None
