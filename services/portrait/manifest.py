"""portrait: the archive of customers, their measured use, what follows for each of them."""

from datetime import timedelta

from services.contracts import inspection as said
from services.contracts import marketing, metering
from services.contracts.notify import ConversationAnswered, ConversationOpened, TicketOpened
from services.contracts.outage import (
    FaultOutageDetected,
    OutageSupplyRestored,
    PlannedOutageCancelled,
    PlannedOutageChanged,
    PlannedOutagePublished,
)
from services.kernel.auth.directory import directory_consumes
from services.kernel.broker import TopicSpec
from services.kernel.door import door_router
from services.kernel.manifest import Consumes, ConsumesInBulk, Job, Service
from services.kernel.veil import Veil
from services.portrait import api, events_in, events_out, jobs, metrics, tables
from services.portrait.classes import api as classes_api
from services.portrait.customers import api as customers_api
from services.portrait.customers.readings import take_readings
from services.portrait.exchange import api as exchange_api
from services.portrait.exchange.reading import read_imports
from services.portrait.in_month import api as in_month_api
from services.portrait.metering import api as metering_api
from services.portrait.scoring import api as scoring_api
from services.portrait.scoring import plots_api
from services.portrait.scoring.worker import scoring

METERING = (metering.IntervalBlockRecorded, metering.RegisterReadingFrozen, metering.MeterChanged)
MARKETING = (
    marketing.CustomerChanged, marketing.BillIssued, marketing.BillCancelled, marketing.PaymentRecorded,
    marketing.ArrearsOpened, marketing.ArrearsCleared, marketing.ApplicationProgressed, marketing.ViolationRecorded,
)  # fmt: skip
RELAYS = (*METERING, *MARKETING)

SERVICE = Service(
    name="portrait",
    title_zh="客户画像",
    title_en="Customer portrait",
    consumes=(
        Consumes(
            event=marketing.CustomerChanged,
            handler=events_in.on_customer_changed,
            deletion=events_in.on_customer_removed,
        ),
        Consumes(event=marketing.BillIssued, handler=events_in.on_bill_issued),
        Consumes(event=marketing.BillCancelled, handler=events_in.on_bill_cancelled),
        Consumes(event=marketing.ArrearsOpened, handler=events_in.on_arrears_opened),
        Consumes(event=marketing.ArrearsCleared, handler=events_in.on_arrears_cleared),
        Consumes(event=marketing.ViolationRecorded, handler=events_in.on_violation_recorded),
        Consumes(event=marketing.ApplicationProgressed, handler=events_in.on_application_progressed),
        Consumes(event=said.InspectionSubmitted, handler=events_in.on_inspection_submitted),
        Consumes(event=said.HazardFound, handler=events_in.on_hazard_found),
        Consumes(event=said.HazardNotified, handler=events_in.on_hazard_notified),
        Consumes(event=said.HazardConfirmed, handler=events_in.on_hazard_confirmed),
        Consumes(event=said.HazardRectified, handler=events_in.on_hazard_rectified),
        Consumes(event=said.HazardVerified, handler=events_in.on_hazard_verified),
        Consumes(event=said.HazardClosed, handler=events_in.on_hazard_closed),
        Consumes(event=said.HazardOverdue, handler=events_in.on_hazard_overdue),
        Consumes(event=said.HazardEscalated, handler=events_in.on_hazard_escalated),
        Consumes(event=said.HazardVoided, handler=events_in.on_hazard_voided),
        Consumes(event=FaultOutageDetected, handler=events_in.on_fault_outage),
        Consumes(event=OutageSupplyRestored, handler=events_in.on_supply_restored),
        Consumes(event=PlannedOutagePublished, handler=events_in.on_planned_outage),
        Consumes(event=PlannedOutageChanged, handler=events_in.on_planned_outage_changed),
        Consumes(event=PlannedOutageCancelled, handler=events_in.on_planned_outage_cancelled),
        Consumes(event=TicketOpened, handler=events_in.on_ticket_opened),
        Consumes(event=ConversationOpened, handler=events_in.on_conversation_opened),
        Consumes(event=ConversationAnswered, handler=events_in.on_conversation_answered),
        *directory_consumes(),
    ),
    bulk=(ConsumesInBulk(topic="metering-readings", events=METERING, handler=take_readings),),
    publishes=events_out.PUBLISHES,
    relays=RELAYS,
    topics=(
        *events_out.OWN_TOPICS,
        TopicSpec(name="metering-readings"),
        TopicSpec(name="marketing-customers", compacted=True),
        TopicSpec(name="marketing-bills"),
        TopicSpec(name="marketing-applications"),
        TopicSpec(name="marketing-violations"),
    ),
    metadata=tables.metadata,
    owned=tables.OWNED,
    api_hidden=frozenset({"changed_days", "warning_due"}),
    observe=metrics.observe,
    veil=Veil(
        roles=frozenset({"analyst"}),
        identifiers={
            "customer_id": "customer",
            "customer_ids": "customer",
            "after": "customer",
            "next_after": "customer",
            "account_id": "account",
            "usage_point_id": "usage-point",
            "usage_point_ids": "usage-point",
            "meter_id": "meter",
            "site_id": "site",
            "group_id": "group",
            "disputed_by": "person",
        },
        names=frozenset({"name", "former_names", "address"}),
    ),
    routers=(
        api.router,
        customers_api.router,
        classes_api.router,
        metering_api.router,
        exchange_api.router,
        in_month_api.router,
        scoring_api.router,
        plots_api.router,
        door_router(service="portrait", events=RELAYS),
    ),
    jobs=(
        Job(name="review-days", every=timedelta(seconds=5), run=jobs.review_days),
        Job(name="estimate-gaps", every=timedelta(hours=6), run=jobs.estimate_gaps),
        Job(name="month-warnings", every=timedelta(seconds=10), run=jobs.month_warnings),
        Job(name="look-at-all-months", every=timedelta(hours=6), run=jobs.look_at_all_months),
        Job(name="read-imports", every=timedelta(seconds=1), run=read_imports),
        Job(name="close-months", every=timedelta(seconds=1), run=jobs.close_months),
        Job(name="adopt-readings", every=timedelta(minutes=1), run=jobs.adopt_readings),
        Job(name="freeze-class-borders", every=timedelta(hours=1), run=jobs.freeze_class_borders),
        Job(name="analyses", every=timedelta(seconds=1), run=jobs.execute_analyses),
        Job(name="refresh-profiles", every=timedelta(hours=6), run=jobs.refresh_profiles),
    ),
    start=scoring,
)
