"""What may happen to a customer, drawn by hypothesis, and what the rules make of it: a model that shares no code.

`Life` is the truth behind the events; `events_of` says it as the producers do, `expected` computes the outcome from it
by the house's rule tables, without tables, order or versions.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from services.contracts import inspection as said
from services.contracts import marketing
from services.contracts.envelope import Event
from services.contracts.notify import ConversationAnswered, ConversationOpened, TicketOpened
from services.contracts.outage import (
    Affected,
    AffectedPart,
    FaultOutageDetected,
    OutageSupplyRestored,
    PlannedOutageCancelled,
    PlannedOutageChanged,
    PlannedOutagePublished,
)

AS_OF = datetime(2026, 6, 30, 4, 0, tzinfo=UTC)
TODAY = date(2026, 6, 30)
STEPS: dict[str, type[Any]] = {
    "found": said.HazardFound, "notified": said.HazardNotified, "confirmed": said.HazardConfirmed,
    "rectified": said.HazardRectified, "verified": said.HazardVerified, "closed": said.HazardClosed,
    "voided": said.HazardVoided,
}  # fmt: skip


@dataclass(frozen=True)
class Hazard:
    grade: str
    path: Sequence[str]
    overdue_after: int | None


@dataclass(frozen=True)
class Fault:
    days_ago: int
    hours: int | None


@dataclass(frozen=True)
class Plan:
    days_ago: int
    moved_to_days_ago: int | None
    cancelled: bool


@dataclass(frozen=True)
class Contact:
    days_ago: int
    kind: str


@dataclass(frozen=True)
class Bill:
    days_ago: int
    yuan: int
    late_fee: int
    fate: str


@dataclass(frozen=True)
class Life:
    grade: marketing.ImportanceGrade
    hazards: Sequence[Hazard]
    faults: Sequence[Fault]
    plans: Sequence[Plan]
    contacts: Sequence[Contact]
    breaches: Sequence[tuple[int, str, int]]
    bills: Sequence[Bill]
    applications: Sequence[tuple[int, str, str]]


_paths = st.sampled_from(
    [("found",), ("found", "notified"), ("found", "notified", "rectified"), ("found", "voided"),
     ("found", "notified", "confirmed", "rectified", "verified", "closed")]
)  # fmt: skip
_hazards = st.builds(Hazard, st.sampled_from(["critical", "serious", "general"]), _paths, st.none() | st.integers(0, 1))
lives = st.builds(
    Life,
    grade=st.sampled_from(["none", "grade-2", "grade-1"]),
    hazards=st.lists(_hazards, max_size=3),
    faults=st.lists(st.builds(Fault, st.sampled_from([1, 59, 60, 61]), st.none() | st.integers(0, 5)), max_size=3),
    plans=st.lists(
        st.builds(Plan, st.sampled_from([1, 180, 181]), st.none() | st.sampled_from([2, 181]), st.booleans()),
        max_size=4,
    ),
    contacts=st.lists(
        st.builds(
            Contact, st.sampled_from([1, 90, 91, 365]), st.sampled_from(["complaint", "question", "talk", "late-talk"])
        ),
        max_size=4,
    ),
    breaches=st.lists(
        st.tuples(st.sampled_from([1, 364, 366, 1095, 1097]), st.sampled_from(["V2", "theft"]), st.integers(0, 900)),
        max_size=2,
    ),
    bills=st.lists(
        st.builds(
            Bill, st.sampled_from([10, 40, 400, 1200]), st.sampled_from([100, 59_999, 60_000, 90_000]),
            st.sampled_from([0, 0, 5]), st.sampled_from(["stands", "cancelled", "reissued"]),
        ),
        max_size=3,
    ),
    applications=st.lists(
        st.tuples(
            st.sampled_from([5, 360, 380]),
            st.sampled_from(["capacity-increase", "capacity-reduction"]),
            st.sampled_from(["accepted", "withdrawn"]),
        ),
        max_size=2,
    ),
)  # fmt: skip


def events_of(life: Life, number: str) -> list[Event]:
    """Everything that is said of customer `C-<number>`, its archive first; any order and repetition is allowed."""
    return [
        *_hazard_events(life, number),
        *_outage_events(life, number),
        *_contact_events(life, number),
        *_money_events(life, number),
    ]


def _moment(days_ago: int) -> datetime:
    return AS_OF - timedelta(days=days_ago)


def _hazard_events(life: Life, number: str) -> list[Event]:
    events: list[Event] = []
    for n, hazard in enumerate(life.hazards):
        common = {
            "hazard_id": f"H-{number}-{n}", "customer_id": f"C-{number}", "site_id": f"S-{number}", "item_code": "T02",
            "grade": hazard.grade, "finding": "渗漏油", "deadline": AS_OF, "occurred_at": AS_OF,
        }  # fmt: skip
        version = 0
        for step, status in enumerate(hazard.path):
            version += 1
            events.append(STEPS[status](version=version, status=status, **common))
            if step == hazard.overdue_after and status not in ("closed", "voided"):
                version += 1
                events.append(said.HazardOverdue(version=version, status=status, **common))  # type: ignore[arg-type]
    return events


def _part(number: str, outage_id: str, version: int) -> AffectedPart:
    row = Affected(account_id=f"A-{number}", customer_id=f"C-{number}", usage_point_id=f"UP-{number}")
    return AffectedPart(set_id=outage_id, set_version=version, part=1, parts=1, affected=(row,))


def _outage_events(life: Life, number: str) -> list[Event]:
    events: list[Event] = []
    for n, fault in enumerate(life.faults):
        outage_id, begun = f"F-{number}-{n}", _moment(fault.days_ago)
        common: dict[str, Any] = {
            "outage_id": outage_id, "feeder_id": "F-1", "fault_id": outage_id, "detected_at": begun,
            "affected": _part(number, outage_id, 1),
        }  # fmt: skip
        events.append(FaultOutageDetected(**common))
        if fault.hours is not None:
            events.append(OutageSupplyRestored(restored_at=begun + timedelta(hours=fault.hours), **common))
    for n, plan in enumerate(life.plans):
        outage_id, version = f"P-{number}-{n}", 1
        events.append(_plan(PlannedOutagePublished, number, outage_id, version, plan.days_ago))
        if plan.moved_to_days_ago is not None:
            version += 1
            events.append(_plan(PlannedOutageChanged, number, outage_id, version, plan.moved_to_days_ago))
        if plan.cancelled:
            days_ago = plan.days_ago if plan.moved_to_days_ago is None else plan.moved_to_days_ago
            events.append(_plan(PlannedOutageCancelled, number, outage_id, version + 1, days_ago))
    return events


def _plan(kind: type[Any], number: str, outage_id: str, version: int, days_ago: int) -> Event:
    start = _moment(days_ago)
    event = kind(
        outage_id=outage_id, version=version, feeder_id="F-1", starts_at=start, ends_at=start + timedelta(hours=2),
        reason="检修", affected=_part(number, outage_id, version),
    )  # fmt: skip
    assert isinstance(event, Event)
    return event


def _contact_events(life: Life, number: str) -> list[Event]:
    events: list[Event] = []
    for n, contact in enumerate(life.contacts):
        customer_id, moment = f"C-{number}", _moment(contact.days_ago)
        if contact.kind in ("complaint", "question"):
            ticket = TicketOpened(
                customer_id=customer_id,
                ticket_id=f"K-{number}-{n}",
                kind="complaint" if contact.kind == "complaint" else "consultation",
                channel="95598",
                occurred_at=moment,
            )
            events.append(ticket)
        else:
            talk: dict[str, Any] = {
                "customer_id": customer_id, "conversation_id": f"T-{number}-{n}", "occurred_at": moment
            }  # fmt: skip
            in_time = contact.kind == "talk"
            events += [ConversationOpened(**talk), ConversationAnswered(within_promise=in_time, **talk)]
    return events


def _money_events(life: Life, number: str) -> list[Event]:
    account, events = f"A-{number}", list[Event]()
    for n, (days_ago, kind, yuan) in enumerate(life.breaches):
        events.append(
            marketing.ViolationRecorded(
                account_id=account, violation_id=f"V-{number}-{n}", kind=kind,  # type: ignore[arg-type]
                occurred_on=TODAY - timedelta(days=days_ago), penalty_yuan=Decimal(yuan),
            )
        )  # fmt: skip
    for n, bill in enumerate(life.bills):
        events.append(_bill(number, f"B-{number}-{n}", bill.days_ago, bill.yuan, bill.late_fee))
        if bill.fate == "cancelled":
            events.append(marketing.BillCancelled(account_id=account, bill_id=f"B-{number}-{n}", reason="差错"))
        if bill.fate == "reissued":
            again = _bill(number, f"R-{number}-{n}", bill.days_ago, bill.yuan // 2, 0)
            events.append(again.model_copy(update={"reissue_of": f"B-{number}-{n}"}))
    for n, (days_ago, kind, stage) in enumerate(life.applications):
        events.append(
            marketing.ApplicationProgressed(
                account_id=account, application_id=f"N-{number}-{n}", kind=kind,  # type: ignore[arg-type]
                stage=stage, reached_at=_moment(days_ago),  # type: ignore[arg-type]
            )
        )  # fmt: skip
    return events


def _bill(number: str, bill_id: str, days_ago: int, yuan: int, late_fee: int) -> marketing.BillIssued:
    end = TODAY - timedelta(days=days_ago)
    return marketing.BillIssued(
        account_id=f"A-{number}", bill_id=bill_id, period_from=end - timedelta(days=30), period_to=end,
        energy_kwh=Decimal(1000), amount_yuan=Decimal(yuan), late_fee_yuan=Decimal(late_fee), due_on=end,
    )  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    classes: frozenset[str]
    attention_level: int
    attention_reasons: frozenset[str]
    cycle_factor: Decimal


def expected(life: Life) -> Outcome:
    """By the rule tables of the shipped demonstration document."""
    classes, reasons = _classes(life), _reasons(life)
    level = min(3, sum(points for _, points in reasons))
    factor = min(
        {0: Decimal(1), 1: Decimal("0.75"), 2: Decimal("0.5"), 3: Decimal(0)}[level],
        Decimal("0.5") if "high-reliability" in classes else Decimal(1),
    )
    return Outcome(frozenset(classes), level, frozenset(name for name, _ in reasons), factor)


def _classes(life: Life) -> set[str]:
    classes = set()
    if life.grade in ("grade-2", "grade-1"):
        classes.add("high-reliability")
    stands = [(b.days_ago, b.yuan, b.late_fee) for b in life.bills if b.fate == "stands"]
    stands += [(b.days_ago, b.yuan // 2, 0) for b in life.bills if b.fate == "reissued"]
    year = [(days, yuan) for days, yuan, _ in stands if days < 365]
    months = {(TODAY - timedelta(days=days)).strftime("%Y-%m") for days, _ in year}
    mean = sum(yuan for _, yuan in year) / len(months) if months else 0
    breached = any(days <= 1096 for days, _, _ in life.breaches)
    # 30 June 2026 less 36 months is 30 June 2023, 1,096 days before.
    fined = any(days <= 1096 and yuan for days, _, yuan in life.breaches) or any(
        fee for days, _, fee in stands if days <= 1096
    )
    known_share = any(days <= 1096 for days, _, _ in stands)
    if mean >= 60_000 and not breached and not (fined and known_share):
        classes.add("high-contribution")
    recent = [c for c in life.contacts if c.days_ago <= 365]
    complaints = [c for c in recent if c.kind == "complaint"]
    if len(recent) / 12 >= 2 or (recent and len(complaints) / len(recent) >= 0.2):
        classes.add("high-service")
    if any(
        days <= 365 and kind == "capacity-increase" and stage == "accepted" for days, kind, stage in life.applications
    ):
        classes.add("high-potential")
    return classes


def _reasons(life: Life) -> list[tuple[str, int]]:
    open_ = [h for h in life.hazards if h.path[-1] not in ("closed", "voided")]
    reasons = []
    if any(h.grade == "critical" for h in open_):
        reasons.append(("hazard:critical", 3))
    elif any(h.grade == "serious" for h in open_):
        reasons.append(("hazard:serious", 2))
    if any(_was_overdue(h) for h in open_):
        reasons.append(("hazard:overdue", 1))
    recent = [f for f in life.faults if f.days_ago <= 60]
    if len(recent) >= 2 or sum(f.hours or 0 for f in recent) >= 4:
        reasons.append(("outage:repeated-faults", 1))
    days = [p.days_ago if p.moved_to_days_ago is None else p.moved_to_days_ago for p in life.plans if not p.cancelled]
    if sum((TODAY - timedelta(days=d)).year == TODAY.year for d in days) >= 3:
        reasons.append(("outage:planned-quota", 1))
    return reasons


def _was_overdue(hazard: Hazard) -> bool:
    at = hazard.overdue_after
    return at is not None and at < len(hazard.path) and hazard.path[at] not in ("closed", "voided")
