"""HTTP of in-month warnings: the month so far of a customer, and its own thresholds."""

from datetime import timedelta
from typing import Annotated, Any, get_args

from fastapi import Path
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert as upsert

from services.contracts.marketing import CustomerRole
from services.kernel.auth.grants import visible
from services.kernel.errors import InvalidInput
from services.kernel.http import Work, allow, service_router
from services.portrait import queries as customers
from services.portrait import tables as t
from services.portrait.customers.calendar import local_day
from services.portrait.in_month import schemas
from services.portrait.in_month.assessing import Assessed, assess_customer, current_month
from services.portrait.rules.in_month import REASONS

router = service_router("portrait")
CustomerId = Annotated[str, Path(max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:\-]*$")]
_CUSTOMER_ROLES = frozenset(get_args(CustomerRole))
_STAFF = ("account-manager", "department-head", "analyst")


@router.get("/customers/{customer_id}/in-month", summary="本月用电预警与期限 The month so far: warnings and deadlines")
@allow(*_STAFF, *_CUSTOMER_ROLES)
async def in_month(customer_id: CustomerId, work: Work) -> schemas.InMonth:
    await customers.profile_of(work, customer_id=customer_id)
    await work.audit(action="in-month-read", object_type="customer", object_id=customer_id, owner_id=customer_id)
    w = t.usage_warning.c
    query = select(t.usage_warning).where(
        w.customer_id == customer_id, w.cleared_at.is_(None), visible(w.customer_id, work=work)
    )
    standing = {(row.account_id, row.kind): row.began_at for row in await work.db.execute(query)}
    warned = {account: frozenset(k for a, k in standing if a == account) for account, _ in standing}
    found = await assess_customer(work, customer_id=customer_id, warned=warned)
    return schemas.InMonth(
        customer_id=customer_id,
        month=current_month(work),
        rules_version=found[0].rules_version if found else None,
        accounts=[_account(a, standing, work) for a in found],
        deadlines=[
            schemas.ChangeDeadline(**{name: getattr(d, name) for name in schemas.ChangeDeadline.model_fields})
            for d in (found[0].deadlines if found else ())
        ],
    )


def _account(assessed: Assessed, standing: dict[tuple[str, str], Any], work: Work) -> schemas.AccountInMonth:
    until = assessed.data_until
    lines = []
    for line in assessed.lines:
        zh, en = REASONS[line.reason] if line.reason else (None, None)
        lines.append(
            schemas.WarningLine(
                kind=line.kind, level=line.level, reason_zh=zh, reason_en=en, value=line.value, limit=line.limit,
                unit=line.unit, figures=line.figures, standing_since=standing.get((assessed.account_id, line.kind)),
            )
        )  # fmt: skip
    return schemas.AccountInMonth(
        account_id=assessed.account_id,
        data_until=until,
        data_age_minutes=None if until is None else max(0, (work.now - until) // timedelta(minutes=1)),
        lines=lines,
    )


@router.put("/customers/{customer_id}/warning-thresholds", summary="设定客户预警阈值 Set a customer's own thresholds")
@allow("account-manager", "department-head")
async def set_thresholds(customer_id: CustomerId, body: schemas.OwnThresholds, work: Work) -> schemas.OwnThresholds:
    await customers.profile_of(work, customer_id=customer_id)
    if body.effective_from < local_day(work.now):
        raise InvalidInput(
            zh="生效日不能早于今天：已发出的预警不追溯改变。",
            en="effective_from lies before today; warnings already told are not changed backwards.",
            field="effective_from",
        )
    document = body.model_dump(mode="json", exclude={"effective_from"}, exclude_none=True)
    values = {"document": document, "set_by": work.actor.person_id, "set_at": work.now}
    await work.db.execute(
        upsert(t.warning_threshold)
        .values(customer_id=customer_id, effective_from=body.effective_from, **values)
        .on_conflict_do_update(index_elements=["customer_id", "effective_from"], set_=values)
    )
    await work.audit(
        action="warning-thresholds-set", object_type="customer", object_id=customer_id, owner_id=customer_id,
        after={"effective_from": str(body.effective_from), **document},
    )  # fmt: skip
    return body
