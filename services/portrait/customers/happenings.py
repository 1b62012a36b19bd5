"""Single facts about customers: each is stored once, in any order, and then the customer is looked at anew."""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import case, func, or_, select, tuple_
from sqlalchemy.dialects.postgresql import insert as upsert

from services.contracts import inspection as said
from services.contracts.marketing import ApplicationProgressed, BillCancelled, BillIssued, ViolationRecorded
from services.kernel.wire import WaitingFor
from services.kernel.work import UnitOfWork
from services.portrait import tables as t
from services.portrait.customers.reassess import reassess

Hazard = (
    said.HazardFound
    | said.HazardNotified
    | said.HazardConfirmed
    | said.HazardRectified
    | said.HazardVerified
    | said.HazardClosed
    | said.HazardOverdue
    | said.HazardEscalated
    | said.HazardVoided
)


async def take_bill(work: UnitOfWork, *, bill: BillIssued) -> None:
    owner = await owner_of(work, account_id=bill.account_id)
    values = bill.model_dump()
    statement = upsert(t.bill).values(**values, customer_id=owner, cancelled=False)
    # A cancellation may have come first: it stays.
    await work.db.execute(statement.on_conflict_do_update(index_elements=["bill_id"], set_=values))
    await reassess(work, customer_id=owner)


async def cancel_bill(work: UnitOfWork, *, bill: BillCancelled) -> None:
    owner = await owner_of(work, account_id=bill.account_id)
    statement = upsert(t.bill).values(
        bill_id=bill.bill_id, account_id=bill.account_id, customer_id=owner, cancelled=True
    )
    await work.db.execute(statement.on_conflict_do_update(index_elements=["bill_id"], set_={"cancelled": True}))
    await reassess(work, customer_id=owner)


async def take_violation(work: UnitOfWork, *, violation: ViolationRecorded) -> None:
    owner = await owner_of(work, account_id=violation.account_id)
    statement = upsert(t.violation).values(**violation.model_dump(), customer_id=owner)
    await work.db.execute(statement.on_conflict_do_nothing())
    await reassess(work, customer_id=owner)


async def take_application(work: UnitOfWork, *, application: ApplicationProgressed) -> None:
    """Keep the stage reached last; of two at the same instant the one whose name sorts last, in any order."""
    owner = await owner_of(work, account_id=application.account_id)
    statement = upsert(t.application).values(**application.model_dump(), customer_id=owner)
    known, new = t.application.c, statement.excluded
    await work.db.execute(
        statement.on_conflict_do_update(
            index_elements=["application_id"],
            set_={"stage": new.stage, "kind": new.kind, "reached_at": new.reached_at},
            where=tuple_(new.reached_at, new.stage) > tuple_(known.reached_at, known.stage),
        )
    )
    await reassess(work, customer_id=owner)


async def take_hazard(work: UnitOfWork, *, hazard: Hazard) -> None:
    """The step of the highest version says status and grade; once overdue, a hazard was overdue."""
    statement = upsert(t.open_hazard).values(
        hazard_id=hazard.hazard_id,
        customer_id=hazard.customer_id,
        version=hazard.version,
        grade=hazard.grade,
        status=hazard.status,
        overdue=isinstance(hazard, said.HazardOverdue),
        finding=hazard.finding,
        first_at=hazard.occurred_at,
        last_at=hazard.occurred_at,
    )
    known, new = t.open_hazard.c, statement.excluded
    newer = new.version >= known.version
    await work.db.execute(
        statement.on_conflict_do_update(
            index_elements=["hazard_id"],
            set_={
                "version": func.greatest(known.version, new.version),
                "grade": case((newer, new.grade), else_=known.grade),
                "status": case((newer, new.status), else_=known.status),
                "overdue": or_(known.overdue, new.overdue),
                "finding": case((newer, new.finding), else_=known.finding),
                "first_at": func.least(known.first_at, new.first_at),
                "last_at": func.greatest(known.last_at, new.last_at),
            },
        )
    )
    await reassess(work, customer_id=hazard.customer_id)


async def take_contact(
    work: UnitOfWork,
    *,
    contact_id: str,
    customer_id: str,
    occurred_at: datetime,
    complaint: bool = False,
    breached: bool = False,
) -> None:
    """A ticket, conversation or visit counts once, however often it is spoken of."""
    statement = upsert(t.service_contact).values(
        contact_id=contact_id,
        customer_id=customer_id,
        occurred_at=occurred_at,
        complaint=complaint,
        breached=breached,
    )
    known, new = t.service_contact.c, statement.excluded
    await work.db.execute(
        statement.on_conflict_do_update(
            index_elements=["contact_id"],
            set_={
                "occurred_at": func.least(known.occurred_at, new.occurred_at),
                "complaint": or_(known.complaint, new.complaint),
                "breached": or_(known.breached, new.breached),
            },
        )
    )
    await reassess(work, customer_id=customer_id)


async def reassess_all(work: UnitOfWork, *, customer_ids: Iterable[str]) -> None:
    for customer_id in sorted(set(customer_ids)):
        await reassess(work, customer_id=customer_id)


async def owner_of(work: UnitOfWork, *, account_id: str) -> str:
    """Raises WaitingFor while the archive has not named the account."""
    query = select(t.account.c.customer_id).where(t.account.c.account_id == account_id)
    owner: str | None = (await work.db.execute(query)).scalar_one_or_none()
    if owner is None:
        raise WaitingFor("account", account_id)
    return owner
