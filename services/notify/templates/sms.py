"""How many segments a text message takes: billed by segment, so seen before it is saved. Pure."""

SINGLE_CHARS, PART_CHARS = 70, 67
"""Of the providers in China, whatever the script: at most 70 characters in one segment, 67 in each of several."""
MOST_SEGMENTS = 4
"""Proposal of the house: what is longer belongs behind the link."""


def length(text: str) -> int:
    """In UTF-16 code units, as it is billed: an emoji counts twice."""
    return len(text.encode("utf-16-le")) // 2


def segments(text: str) -> int:
    count = length(text)
    return 1 if count <= SINGLE_CHARS else -(-count // PART_CHARS)
