"""What a message over WeChat is about, by the words of the region: pure. Our own pages let the customer choose."""

from collections.abc import Mapping, Sequence


def topic_of(said: str, *, words: Mapping[str, Sequence[str]]) -> str | None:
    """The first topic one of whose words occurs; None when none does."""
    lowered = said.lower()
    return next((topic for topic, known in words.items() if any(w.lower() in lowered for w in known)), None)
