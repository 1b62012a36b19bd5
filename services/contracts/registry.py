"""All contracts, by type and by topic."""

from services.contracts import grid, inspection, marketing, metering, notify, organisation, outage, portrait
from services.contracts.envelope import Event

EVENTS: tuple[type[Event], ...] = (
    *metering.EVENTS,
    *marketing.EVENTS,
    *organisation.EVENTS,
    *grid.EVENTS,
    *inspection.EVENTS,
    *outage.EVENTS,
    *portrait.EVENTS,
    *notify.EVENTS,
)
BY_TYPE: dict[str, type[Event]] = {event.TYPE: event for event in EVENTS}
COMPACTED = frozenset(
    {
        "marketing-customers",
        "marketing-contacts",
        "organisation",
        "grid-topology",
        "portrait-customers",
        "notify-directory",
    }
)
"""Topics that keep the newest state of every key; a null value there is a deletion."""


def by_topic() -> dict[str, list[type[Event]]]:
    topics: dict[str, list[type[Event]]] = {}
    for event in EVENTS:
        topics.setdefault(event.TOPIC, []).append(event)
    return topics
