"""What only notify knows; labels are classes of the policy, channels and outcomes."""

from prometheus_client import Counter, Gauge, Histogram

_SECONDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 600)
FAULT_TO_ACCEPT = Histogram(
    "keyline_notify_fault_to_accept_seconds", "From the detected fault to the provider's acceptance.", buckets=_SECONDS
)
EVENT_TO_ACCEPT = Histogram(
    "keyline_notify_event_to_accept_seconds",
    "From the event's own time to the provider's acceptance.",
    ["event_class", "channel"],
    buckets=_SECONDS,
)
DELIVERIES = Counter(
    "keyline_notify_deliveries_total", "State changes of messages.", ["event_class", "channel", "outcome"]
)
RETRIES = Counter("keyline_notify_retries_total", "Attempts that will be repeated.", ["event_class", "reason_class"])
FALLBACKS = Counter("keyline_notify_fallback_total", "Messages moved to the next channel.", ["event_class", "to"])
RECEIPTS = Counter("keyline_notify_receipts_total", "Receipts of the provider.", ["outcome"])
EVENT_TO_RECEIPT = Histogram(
    "keyline_notify_event_to_receipt_seconds",
    "From the event's own time to the receipt.",
    ["event_class", "channel"],
    buckets=_SECONDS,
)
DUPLICATES_SUPPRESSED = Counter(
    "keyline_notify_duplicates_suppressed_total", "Messages that were not sent a second time.", ["layer"]
)
QUOTA_REMAINING = Gauge("keyline_notify_provider_quota_remaining", "Tokens left.", ["provider", "limit"])
CIRCUIT_OPEN = Gauge("keyline_notify_circuit_open", "1 while nothing but probes is sent.", ["provider", "template"])
SEND_SECONDS = Histogram(
    "keyline_notify_send_seconds",
    "One call of a provider.",
    ["provider"],
    buckets=(0.01, 0.05, 0.1, 0.25, 0.5, 1, 3, 10),
)
SSE_CLIENTS = Gauge("keyline_notify_inbox_sse_clients", "Open inbox streams of this process.")
AUDITOR = Gauge("keyline_notify_auditor_findings", "Messages that stand still, by kind.", ["finding"])
AUDITOR_LAST = Gauge("keyline_notify_auditor_last_run_timestamp", "Business time of the auditor's last run.")
OLDEST_PENDING = Gauge("keyline_notify_oldest_pending_seconds", "Age of the oldest due message that has not gone.")
NOTICES = Gauge("keyline_notify_planned_notices", "Customers of planned outages to come, by standing.", ["standing"])
WITHOUT_OWNER = Gauge(
    "keyline_notify_customers_without_owner", "Key accounts for which no account manager or deputy answers now."
)
HARD_TO_REACH = Gauge(
    "keyline_notify_customers_hard_to_reach", "Key accounts with fewer working channels than the policy asks for."
)
CALENDAR_ENDS = Gauge("keyline_notify_calendar_days_left", "Days until the known working-day calendar ends.")
STEP_LATENESS = Histogram(
    "keyline_notify_step_lateness_seconds",
    "How late the next channel was started after its time had come.",
    ["priority"],
    buckets=(0.5, 1, 2, 5, 10, 60),
)
FIRST_RESPONSE = Histogram(
    "keyline_notify_conversation_first_response_seconds",
    "Service time from a conversation's first question to its answer.",
    ["conversation_topic"],
    buckets=(30, 60, 120, 300, 600, 900, 1800, 3600, 14400),
)
SLA_BREACHES = Counter(
    "keyline_notify_conversation_sla_breaches_total", "Questions not answered when promised.", ["conversation_topic"]
)
CONVERSATIONS_OPEN = Gauge("keyline_notify_conversation_open", "Open conversations.", ["conversation_topic"])
CONVERSATIONS_OVERDUE = Gauge(
    "keyline_notify_conversation_overdue", "Questions past their promised time that nobody has answered."
)
