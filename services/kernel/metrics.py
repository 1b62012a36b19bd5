"""Technical metrics of every service. Labels are bounded sets only, never an id (tests/deploy names them)."""

from prometheus_client import Counter, Gauge, Histogram

EVENTS_HANDLED = Counter(
    "keyline_events_handled_total",
    "Records taken from topics by outcome: applied, duplicate, outdated, ignored, waiting, dead-lettered.",
    ["service", "topic", "event", "outcome"],
)
HANDLER_SECONDS = Histogram(
    "keyline_handler_seconds",
    "Transaction time of a handled record or batch.",
    ["service", "topic"],
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
RETRIES = Counter("keyline_retries_total", "Attempts repeated because a dependency was away.", ["service", "what"])
CONSUMER_LAG = Gauge("keyline_consumer_lag_records", "Records not consumed yet.", ["service", "topic"])
OLDEST_EVENT_AGE = Gauge(
    "keyline_oldest_unprocessed_event_seconds", "Age of the oldest record not done yet; 0 without lag.", ["service"]
)
POLL_AGE = Gauge("keyline_poll_loop_age_seconds", "Seconds since the poll loop last turned.", ["service", "loop"])
BREAKER_OPEN = Gauge(
    "keyline_breaker_open", "1 while a partition is stopped for too much poison.", ["service", "topic"]
)
DEPENDENCY_UP = Gauge(
    "keyline_dependency_up", "1 while the database or the broker answers the observer.", ["service", "what"]
)
OUTBOX_DEPTH = Gauge("keyline_outbox_depth", "Rows not published yet.", ["service"])
OUTBOX_AGE = Gauge("keyline_outbox_oldest_seconds", "Age of the oldest row not published yet.", ["service"])
OUTBOX_PUBLISHED = Counter("keyline_outbox_published_total", "Rows acknowledged by the broker.", ["service", "topic"])
WAITING = Gauge("keyline_waiting_references", "Events kept until a reference arrives.", ["service"])
WAITING_AGE = Gauge("keyline_waiting_oldest_seconds", "Age of the oldest waiting event.", ["service"])
DEAD_LETTERS = Gauge("keyline_dead_letters", "Dead letters neither replayed nor skipped.", ["service"])
JOB_SECONDS = Histogram("keyline_job_seconds", "Duration of a job run.", ["service", "job"])
JOB_FAILURES = Counter("keyline_job_failures_total", "Job runs that raised.", ["service", "job"])
HTTP_SECONDS = Histogram(
    "keyline_http_seconds",
    "Time to answer by route template.",
    ["service", "method", "route", "status"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
)
