"""What only notify knows; labels are classes of the policy, channels and outcomes."""

from prometheus_client import Counter, Histogram

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
