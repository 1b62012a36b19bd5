"""One timeline of a customer: bills, arrears, outages, hazards, tickets, conversations, visits, scores, classes."""

import base64
import binascii
import json
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import (
    ColumnElement,
    DateTime,
    FromClause,
    Select,
    String,
    cast,
    func,
    literal,
    select,
    tuple_,
    type_coerce,
    union_all,
)
from sqlalchemy.dialects.postgresql import JSONB

from services.kernel.errors import InvalidInput
from services.kernel.work import UnitOfWork
from services.portrait import tables as t
from services.portrait.customers import schemas
from services.portrait.scoring.results import published_scores

_ZONE = "Asia/Shanghai"


async def timeline(
    work: UnitOfWork, *, customer_id: str, kinds: Sequence[str], internal: bool, before: str, limit: int
) -> schemas.Timeline:
    """Newest first. `internal` adds what only the company may see. Raises InvalidInput for a cursor that is none."""
    sources = {
        kind: one for kind, one in _sources(customer_id, internal=internal).items() if not kinds or kind in kinds
    }
    if not sources:
        return schemas.Timeline(items=[], next_before=None)
    rows = union_all(*sources.values()).subquery()
    query = select(rows).order_by(rows.c.at.desc(), rows.c.kind.desc(), rows.c.id.desc()).limit(limit + 1)
    if before:
        query = query.where(tuple_(rows.c.at, rows.c.kind, rows.c.id) < tuple_(*_cursor(before)))
    found = (await work.db.execute(query)).all()
    items = [schemas.TimelineItem(at=r.at, kind=r.kind, id=r.id, facts=r.facts) for r in found[:limit]]
    return schemas.Timeline(items=items, next_before=_cursor_of(items[-1]) if len(found) > limit else None)


def _sources(customer_id: str, *, internal: bool) -> dict[str, Select[tuple[datetime, str, str, object]]]:
    b, a, o, h, c = t.bill.c, t.arrears.c, t.customer_outage.c, t.open_hazard.c, t.service_contact.c
    n, v, m = t.application.c, t.violation.c, t.class_membership.c
    scores = published_scores(customer_id=customer_id).subquery("published")
    s = scores.c
    contact_kind, contact_id = func.split_part(c.contact_id, ":", 1), func.split_part(c.contact_id, ":", 2)
    shown = {
        "bill": _one(
            t.bill, "bill", b.bill_id, _start_of(b.period_to), customer_id,
            energy_kwh=b.energy_kwh, amount_yuan=b.amount_yuan, due_on=b.due_on, cancelled=b.cancelled,
        ).where(b.period_to.is_not(None)),
        "arrears": _one(
            t.arrears, "arrears", a.bill_id, _start_of(a.since), customer_id,
            amount_yuan=a.amount_yuan, cleared_at=a.cleared_at,
        ).where(a.since.is_not(None)),
        "outage": _one(
            t.customer_outage, "outage", o.outage_id, o.started_at, customer_id,
            outage_kind=o.kind, ended_at=o.ended_at, cancelled=o.cancelled,
        ),
        "hazard": _one(
            t.open_hazard, "hazard", h.hazard_id, h.first_at, customer_id,
            grade=h.grade, status=h.status, overdue=h.overdue, finding=h.finding, last_step_at=h.last_at,
        ),
        "application": _one(
            t.application, "application", n.application_id, n.reached_at, customer_id,
            application_kind=n.kind, stage=n.stage,
        ),
        "score": _one(
            scores, "score", s.month.concat("/").concat(cast(s.run_id, String)), s.published_at, customer_id,
            month=s.month, score=s.score, band=s.band,
        ),
    }  # fmt: skip
    for kind in ("ticket", "conversation", "visit"):
        facts = {"complaint": c.complaint, "answered_late": c.breached} if internal else {}
        shown[kind] = _one(t.service_contact, kind, contact_id, c.occurred_at, customer_id, **facts).where(
            contact_kind == kind
        )
    if internal:
        shown["violation"] = _one(
            t.violation, "violation", v.violation_id, _start_of(v.occurred_on), customer_id,
            violation_kind=v.kind, penalty_yuan=v.penalty_yuan,
        )  # fmt: skip
        shown["class"] = _one(
            t.class_membership, "class", cast(m.profile_version, String).concat("/").concat(m.class_name), m.at,
            customer_id, class_name=m.class_name, entered=m.entered, rule_version=m.rule_version,
        )  # fmt: skip
    return shown


def _one(
    table: FromClause, kind: str, id_: ColumnElement[str], at: ColumnElement[datetime], customer_id: str,
    **facts: ColumnElement[object],
) -> Select[tuple[datetime, str, str, object]]:  # fmt: skip
    said = [part for name, column in facts.items() for part in (literal(name), column)]
    document = func.jsonb_build_object(*said) if said else func.jsonb_build_object()
    return select(
        type_coerce(at, DateTime(timezone=True)).label("at"),
        literal(kind).label("kind"),
        id_.label("id"),
        type_coerce(document, JSONB).label("facts"),
    ).where(table.c.customer_id == customer_id)


def _start_of(day: ColumnElement[object]) -> ColumnElement[datetime]:
    return func.timezone(_ZONE, cast(day, DateTime()))


def _cursor_of(item: schemas.TimelineItem) -> str:
    return base64.urlsafe_b64encode(json.dumps([item.at.isoformat(), item.kind, item.id]).encode()).decode()


def _cursor(text: str) -> tuple[ColumnElement[datetime], str, str]:
    try:
        at, kind, id_ = json.loads(base64.urlsafe_b64decode(text.encode()))
        moment = datetime.fromisoformat(at)
        if moment.tzinfo is None or not isinstance(kind, str) or not isinstance(id_, str):
            raise ValueError
    except (ValueError, TypeError, AttributeError, binascii.Error) as error:
        raise InvalidInput(
            zh="before 须原样取自上一页的 next_before。",
            en="before must be next_before of the page before.",
            field="before",
        ) from error
    return literal(moment), kind, id_
