"""Which classes of the policy each event that notify hears becomes; every one of them needs a row and words."""

from services.contracts import inspection, marketing, outage, portrait
from services.contracts.envelope import Event

CLASSES_OF: dict[type[Event], tuple[str, ...]] = {
    inspection.HazardFound: ("hazard-found", "hazard-suspected"),
    inspection.HazardRectified: ("hazard-rectified",),
    inspection.HazardClosed: ("hazard-closed",),
    inspection.HazardVoided: ("hazard-voided",),
    inspection.HazardOverdue: ("hazard-overdue",),
    inspection.HazardEscalated: ("hazard-escalated",),
    outage.FaultOutageDetected: ("fault-outage",),
    outage.RestorationEstimated: ("restoration-estimated",),
    outage.OutageSupplyRestored: ("supply-restored",),
    outage.PlannedOutagePublished: ("planned-outage",),
    outage.PlannedOutageChanged: ("planned-outage-changed",),
    outage.PlannedOutageCancelled: ("planned-outage-cancelled",),
    portrait.EfficiencyScored: ("efficiency-scored",),
    portrait.CustomerReclassified: ("reclassified",),
    portrait.CustomerAssigned: ("customer-assigned",),
    portrait.MonthlyUsageComputed: ("usage-summary",),
    portrait.UsageWarningRaised: ("usage-warning",),
    portrait.UsageWarningCleared: ("usage-warning-cleared",),
    marketing.BillIssued: ("bill-issued",),
    marketing.BillCancelled: ("bill-cancelled",),
    marketing.PaymentRecorded: ("payment-recorded",),
    marketing.ArrearsOpened: ("arrears-opened",),
    marketing.ArrearsCleared: ("arrears-cleared",),
    marketing.ApplicationProgressed: ("application-progressed",),
}
OWN_CLASSES = (
    "announcement", "announcement-reminder", "contact-confirmation", "reachability-gap", "customer-without-owner",
    "work-handed-over", "template-trial", "conversation-receipt", "conversation-answer", "conversation-rating",
    "conversation-waiting", "digest",
)  # fmt: skip
"""What notify itself has to tell."""


def every_class() -> frozenset[str]:
    return frozenset(name for names in CLASSES_OF.values() for name in names) | frozenset(OWN_CLASSES)


def class_of(event: Event) -> str:
    """The class of an event that has exactly one."""
    [name] = CLASSES_OF[type(event)]
    return name
