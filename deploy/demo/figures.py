"""The last line of the demo, counted from tables, the topic of readings and the sandbox."""

import math
from collections import Counter
from collections.abc import Sequence

from deploy.demo.chapters.scores import MONTH
from deploy.demo.outside import NotSeen
from deploy.demo.stage import Stage
from deploy.demo.topics import told_on_topic


async def figures(stage: Stage, *, seconds: float) -> dict[str, object]:
    one = stage.outside.one
    assert stage.house.broker is not None
    readings = await told_on_topic(bootstrap_servers=stage.house.broker.bootstrap_servers)
    stored = int(await one("SELECT coalesce(sum(present), 0) FROM portrait.interval_block"))
    if readings.published - readings.repeated - readings.corrected != stored:
        raise NotSeen(f"{stored} readings are stored of {readings}")
    messages = await stage.outside.sandbox_messages()
    shown = Counter(str(m.get("client_msg_id") or m.get("msgid")) for m in messages)
    letters = 0
    for service in stage.house.services:
        letters += await one(f"SELECT count(*) FROM {service}.dead_letter")  # noqa: S608  (names of this house)
    return {
        "broker": stage.house.broker.kind,
        "readings_published": readings.published,
        "readings_stored": stored,
        "duplicates_ignored": readings.repeated,
        "customers_scored": await one(
            "SELECT count(DISTINCT customer_id) FROM portrait.score WHERE month = $1 AND score IS NOT NULL", MONTH
        ),
        "reclassified": await one(
            "SELECT count(*) FROM portrait.outbox WHERE type = 'keyline.portrait.customer-reclassified.v1'"
        ),
        "hazards_opened": await one("SELECT count(*) FROM inspection.hazard"),
        "hazards_closed": await one("SELECT count(*) FROM inspection.hazard WHERE status = 'closed'"),
        "messages_delivered": len(messages),
        "duplicate_messages": sum(n - 1 for n in shown.values()),
        "dead_letters": letters,
        "fault_to_message_ms_p99": _p99(stage.latencies["fault"]),
        "hazard_to_message_ms_p99": _p99(stage.latencies["hazard"]),
        "seconds": round(seconds, 1),
    }


def _p99(milliseconds: Sequence[float]) -> float:
    """The smallest value that 99 % of the messages do not exceed; of fewer than 100 the slowest."""
    ordered = sorted(milliseconds)
    return round(ordered[math.ceil(0.99 * len(ordered)) - 1], 1)
