"""The menu that asks whether a conversation helped; a tap comes back with the id of its entry."""

from typing import Any
from uuid import UUID

SATISFIED, UNRESOLVED = "s-", "u-"
_LABELS = {"zh": ("满意", "未解决"), "en": ("Satisfied", "Not solved")}


def choices_of(message: Any, *, language: str) -> dict[str, str]:
    yes, no = _LABELS["en" if language == "en" else "zh"]
    return {f"{SATISFIED}{message.conversation_id}": yes, f"{UNRESOLVED}{message.conversation_id}": no}


def read_choice(choice: str) -> tuple[UUID, bool] | None:
    """The conversation, and whether the person is satisfied; None for what is no entry of ours."""
    if not choice.startswith((SATISFIED, UNRESOLVED)):
        return None
    try:
        return UUID(choice[2:]), choice.startswith(SATISFIED)
    except ValueError:
        return None
