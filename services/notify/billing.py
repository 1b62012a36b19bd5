"""Bills, payments, arrears, applications and monthly energy: told point to point to the customer's right people."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import select

from services.contracts.marketing import (
    ApplicationProgressed,
    ArrearsCleared,
    ArrearsOpened,
    BillCancelled,
    BillIssued,
    PaymentRecorded,
)
from services.contracts.portrait import MonthlyUsageComputed
from services.kernel.clock import BUSINESS_ZONE
from services.kernel.wire import WaitingFor
from services.kernel.work import UnitOfWork
from services.notify.delivery.happenings import Happening, tell
from services.notify.policy.planning import Place
from services.notify.tables import account, customer, delivery

NEWS_FOR = timedelta(days=45)
"""Proposal of the house: bills come once a month, some days after the reading."""
RETOLD_SHARE = Decimal("0.01")
"""Proposal of the house."""


async def bill_issued(work: UnitOfWork, *, event: BillIssued) -> None:
    facts = {
        "period_from": event.period_from.isoformat(), "period_to": event.period_to.isoformat(),
        "energy": str(event.energy_kwh), "amount": str(event.amount_yuan), "late_fee": str(event.late_fee_yuan),
        "due_on": event.due_on.isoformat(), "reissued": event.reissue_of is not None,
    }  # fmt: skip
    await _of_account(work, event.account_id, "bill-issued", event.bill_id, facts, at=_news(work, event.period_to))


async def bill_cancelled(work: UnitOfWork, *, event: BillCancelled) -> None:
    """Corrected to exactly those who got the bill; whose bill had not gone yet gets neither."""
    facts = {"reason": event.reason}
    await _of_account(work, event.account_id, "bill-cancelled", event.bill_id, facts, at=work.now)


async def payment_recorded(work: UnitOfWork, *, event: PaymentRecorded) -> None:
    """A bill may be paid in several parts: each is told, the same report of one part once."""
    facts = {"amount": str(event.amount_yuan), "at": event.paid_at.isoformat()}
    occasion = f"{event.paid_at.astimezone(UTC):%Y%m%dT%H%M%S}-{event.amount_yuan}"
    await _of_account(
        work, event.account_id, "payment-recorded", event.bill_id, facts, at=event.paid_at, occasion=occasion
    )


async def arrears_opened(work: UnitOfWork, *, event: ArrearsOpened) -> None:
    facts = {"amount": str(event.amount_yuan), "since": event.since.isoformat()}
    await _of_account(work, event.account_id, "arrears-opened", event.bill_id, facts, at=_news(work, event.since))


async def arrears_cleared(work: UnitOfWork, *, event: ArrearsCleared) -> None:
    facts = {"at": event.cleared_at.isoformat()}
    await _of_account(work, event.account_id, "arrears-cleared", event.bill_id, facts, at=event.cleared_at)


async def application_progressed(work: UnitOfWork, *, event: ApplicationProgressed) -> None:
    """Every stage from 报装 to 送电 once."""
    facts = {
        "application": event.application_id, "kind": event.kind, "stage": event.stage,
        "at": event.reached_at.isoformat(),
    }  # fmt: skip
    await _of_account(
        work, event.account_id, "application-progressed", event.application_id, facts, at=event.reached_at,
        occasion=event.stage,
    )  # fmt: skip


async def usage_computed(work: UnitOfWork, *, event: MonthlyUsageComputed) -> None:
    """A month that is over, once; a later revision again only where the energy moved by more than the share below."""
    await _known(work, event.customer_id)
    year, month = map(int, event.month.split("-"))
    month_over = date(year + month // 12, month % 12 + 1, 1)
    if work.now.astimezone(BUSINESS_ZONE).date() < month_over:
        return
    told = await _energy_told(work, event)
    if told is not None and abs(event.energy_kwh - told) <= RETOLD_SHARE * told:
        return
    facts = {
        "month": event.month, "energy": str(event.energy_kwh), "mean_load": str(event.mean_load_kw),
        "completeness": f"{Decimal(str(event.completeness)):.4f}",
    }  # fmt: skip
    await tell(
        work,
        happening=Happening(
            event_class="usage-summary", subject_id=event.customer_id, customers=frozenset({event.customer_id}),
            occasion=event.month if told is None else f"{event.month}-r{event.revision}",
            event_at=_news(work, month_over), facts=facts,
        ),
    )  # fmt: skip


async def _energy_told(work: UnitOfWork, event: MonthlyUsageComputed) -> Decimal | None:
    d = delivery.c
    query = select(d.facts["energy"].astext).where(
        d.event_class == "usage-summary", d.subject_id == event.customer_id, d.facts["month"].astext == event.month
    )
    told = (await work.db.execute(query.order_by(d.created_at.desc()).limit(1))).scalar()
    return None if told is None else Decimal(told)


def _news(work: UnitOfWork, day: date) -> datetime:
    """Now for what concerns the last weeks; a back-fill of older days keeps its day, and nobody's phone rings."""
    begun = datetime.combine(day, time(), tzinfo=BUSINESS_ZONE)
    return work.now if begun >= work.now - NEWS_FOR else begun


async def _of_account(
    work: UnitOfWork, account_id: str, event_class: str, subject_id: str, facts: dict[str, Any],
    *, at: datetime, occasion: str = "",
) -> None:  # fmt: skip
    query = select(account.c.customer_id).where(account.c.account_id == account_id)
    customer_id = (await work.db.execute(query)).scalar()
    if customer_id is None:
        raise WaitingFor("account", account_id)
    await tell(
        work,
        happening=Happening(
            event_class=event_class, subject_id=subject_id, occasion=occasion, customers=frozenset({customer_id}),
            places=frozenset({Place(customer_id=customer_id, account_id=account_id)}), event_at=at, facts=facts,
        ),
    )  # fmt: skip


async def _known(work: UnitOfWork, customer_id: str) -> None:
    query = select(customer.c.customer_id).where(customer.c.customer_id == customer_id)
    if (await work.db.execute(query)).first() is None:
        raise WaitingFor("customer", customer_id)
