"""The last line of the demo, counted from tables and the sandbox."""

from collections import Counter
from typing import Any

from deploy.demo.story import MONTH, Story


async def figures(story: Story, *, seconds: float) -> dict[str, object]:
    one = story.outside.one
    messages = await story.outside.sandbox_messages()
    shown = Counter(str(m.get("client_msg_id") or m.get("msgid")) for m in messages)
    letters = 0
    for service in story.house.services:
        letters += await one(f"SELECT count(*) FROM {service}.dead_letter")  # noqa: S608  (names of this house)
    assert story.house.broker is not None
    stored = await stored_readings(story)
    return {
        "broker": story.house.broker.kind,
        "readings_published": story.readings,
        "readings_stored": stored,
        "duplicates_ignored": story.readings - stored,
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
        "fault_to_message_ms_p99": await p99(story, "%fault%"),
        "hazard_to_message_ms_p99": await p99(story, "%hazard%"),
        "seconds": round(seconds, 1),
    }


async def stored_readings(story: Story) -> int:
    """Slots that hold a value, over all day blocks."""
    return int(await story.outside.one("SELECT coalesce(sum(present), 0) FROM portrait.interval_block"))


async def p99(story: Story, event_class: str) -> float | None:
    """From the moment the event was told to the provider's acceptance, in milliseconds."""
    rows: list[Any] = await story.outside.rows(
        "SELECT percentile_disc(0.99) WITHIN GROUP (ORDER BY extract(epoch FROM accepted_at - event_at) * 1000)"
        " FROM notify.delivery WHERE event_class LIKE $1 AND accepted_at IS NOT NULL", event_class,
    )  # fmt: skip
    return round(float(rows[0][0]), 1) if rows and rows[0][0] is not None else None
