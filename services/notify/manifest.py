"""The face of notify: people, posts, messages, tickets."""

from datetime import timedelta

from services.contracts import marketing
from services.contracts.inspection import (
    HazardClosed,
    HazardEscalated,
    HazardFound,
    HazardOverdue,
    HazardRectified,
    HazardVoided,
)
from services.contracts.marketing import PersonChanged
from services.contracts.notify import (
    ConversationAnswered,
    ConversationClosed,
    ConversationEscalated,
    ConversationOpened,
    EngagementsChanged,
    MessageAccepted,
    MessageAcknowledged,
    MessageDelivered,
    MessageFailed,
    MessageOpened,
    PlannedNoticeProven,
    PlannedNoticeUnproven,
    PostAssigned,
    TicketClosed,
    TicketOpened,
)
from services.contracts.organisation import LeaveChanged, PostChanged, UnitChanged
from services.contracts.outage import (
    FaultOutageDetected,
    OutageSupplyRestored,
    PlannedOutageCancelled,
    PlannedOutageChanged,
    PlannedOutagePublished,
    RestorationEstimated,
)
from services.contracts.portrait import (
    CustomerAssigned,
    CustomerProfileChanged,
    CustomerReclassified,
    EfficiencyScored,
    MonthlyUsageComputed,
    ScoreDisputed,
    UsageWarningCleared,
    UsageWarningRaised,
)
from services.kernel.broker import TopicSpec
from services.kernel.door import door_router
from services.kernel.manifest import Consumes, Job, Service
from services.notify import api, callbacks, events_in, jobs, messages_api, public_api, tables
from services.notify.announcements.api import router as announcements_router
from services.notify.conversation.api import router as conversation_router
from services.notify.conversation.watch import watch
from services.notify.delivery.assembly import sending
from services.notify.delivery.auditor import audit
from services.notify.directory import publishing
from services.notify.directory.api import router as directory_router
from services.notify.policy.api import router as policy_router
from services.notify.privacy import api as privacy_api
from services.notify.privacy.requests import erase_due, keep_no_longer
from services.notify.templates.api import router as templates_router
from services.notify.wechat import api as wechat_api

RELAYED = (PersonChanged, UnitChanged, PostChanged, LeaveChanged)

SERVICE = Service(
    name="notify",
    title_zh="通知协同",
    title_en="Notification and directory",
    consumes=(
        Consumes(event=UnitChanged, handler=events_in.on_unit_changed, deletion=events_in.on_unit_removed),
        Consumes(event=PostChanged, handler=events_in.on_post_changed, deletion=events_in.on_post_removed),
        Consumes(event=LeaveChanged, handler=events_in.on_leave_changed, deletion=events_in.on_leave_removed),
        Consumes(event=PersonChanged, handler=events_in.on_person_changed, deletion=events_in.on_person_removed),
        Consumes(
            event=CustomerProfileChanged,
            handler=events_in.on_customer_profile_changed,
            deletion=events_in.on_customer_removed,
        ),
        Consumes(event=HazardFound, handler=events_in.on_hazard_found),
        Consumes(event=HazardRectified, handler=events_in.on_hazard_rectified),
        Consumes(event=HazardClosed, handler=events_in.on_hazard_closed),
        Consumes(event=HazardVoided, handler=events_in.on_hazard_voided),
        Consumes(event=HazardOverdue, handler=events_in.on_hazard_overdue),
        Consumes(event=HazardEscalated, handler=events_in.on_hazard_escalated),
        Consumes(event=FaultOutageDetected, handler=events_in.on_fault_outage, together=events_in.on_fault_outages),
        Consumes(
            event=OutageSupplyRestored, handler=events_in.on_supply_restored, together=events_in.on_supplies_restored
        ),
        Consumes(event=RestorationEstimated, handler=events_in.on_restoration_estimated),
        Consumes(event=PlannedOutagePublished, handler=events_in.on_planned_outage),
        Consumes(event=PlannedOutageChanged, handler=events_in.on_planned_outage_changed),
        Consumes(event=PlannedOutageCancelled, handler=events_in.on_planned_outage_cancelled),
        Consumes(event=EfficiencyScored, handler=events_in.on_efficiency_scored),
        Consumes(event=UsageWarningRaised, handler=events_in.on_usage_warning_raised),
        Consumes(event=UsageWarningCleared, handler=events_in.on_usage_warning_cleared),
        Consumes(event=ScoreDisputed, handler=events_in.on_score_disputed),
        Consumes(event=CustomerReclassified, handler=events_in.on_customer_reclassified),
        Consumes(event=CustomerAssigned, handler=events_in.on_customer_assigned),
        Consumes(event=MonthlyUsageComputed, handler=events_in.on_usage_computed),
        Consumes(event=marketing.BillIssued, handler=events_in.on_bill_issued),
        Consumes(event=marketing.BillCancelled, handler=events_in.on_bill_cancelled),
        Consumes(event=marketing.PaymentRecorded, handler=events_in.on_payment_recorded),
        Consumes(event=marketing.ArrearsOpened, handler=events_in.on_arrears_opened),
        Consumes(event=marketing.ArrearsCleared, handler=events_in.on_arrears_cleared),
        Consumes(event=marketing.ApplicationProgressed, handler=events_in.on_application_progressed),
    ),
    publishes=(
        PostAssigned,
        EngagementsChanged,
        MessageAccepted,
        MessageDelivered,
        MessageOpened,
        MessageAcknowledged,
        MessageFailed,
        PlannedNoticeUnproven,
        PlannedNoticeProven,
        TicketOpened,
        TicketClosed,
        ConversationOpened,
        ConversationAnswered,
        ConversationEscalated,
        ConversationClosed,
    ),
    relays=RELAYED,
    topics=(
        TopicSpec(name="notify-directory", partitions=3, compacted=True),
        TopicSpec(name="notify-deliveries", partitions=6, retention_days=30),
        TopicSpec(name="notify-tickets", partitions=3, retention_days=30),
        TopicSpec(name="notify-conversations", partitions=3, retention_days=30),
        TopicSpec(name="marketing-contacts", partitions=3, compacted=True),
        TopicSpec(name="organisation", partitions=3, compacted=True),
    ),
    metadata=tables.metadata,
    owned=tables.OWNED,
    api_withdraws_grants=True,
    routers=(
        api.router,
        public_api.router,
        messages_api.router,
        directory_router,
        policy_router,
        templates_router,
        announcements_router,
        conversation_router,
        callbacks.router,
        wechat_api.router,
        privacy_api.router,
        door_router(service="notify", events=RELAYED),
    ),
    jobs=(
        Job(name="notify-auditor", every=timedelta(minutes=1), run=audit),
        Job(name="publish-directory", every=publishing.EVERY, run=publishing.publish_directory),
        Job(name="send-announcements", every=jobs.EVERY_FEW_SECONDS, run=jobs.send_announcements),
        Job(name="watch-ownership", every=jobs.EVERY_MINUTE, run=jobs.watch_ownership),
        Job(name="tell-successors", every=jobs.EVERY_MINUTE, run=jobs.tell_successors),
        Job(name="check-reachability", every=jobs.HOURLY, run=jobs.check_reachability),
        Job(name="forget-old-plannings", every=jobs.DAILY, run=jobs.forget_old_plannings),
        Job(name="ask-for-confirmation", every=jobs.HOURLY, run=jobs.ask_for_confirmation),
        Job(name="watch-conversations", every=timedelta(seconds=1), run=watch),
        Job(name="notify-erasure", every=timedelta(seconds=5), run=erase_due),
        Job(name="notify-retention", every=timedelta(hours=24), run=keep_no_longer),
    ),
    start=sending,
)
