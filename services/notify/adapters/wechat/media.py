"""Media that people sent or uploaded: WeChat keeps them three days, so they are fetched at once and checked."""

from dataclasses import dataclass, field

MOST_MEDIA_BYTES = 10 * 1024 * 1024
"""WeChat's own limit for images and video; voices are smaller."""

_SIGNATURES: tuple[tuple[str, int, bytes], ...] = (
    ("image/jpeg", 0, b"\xff\xd8\xff"),
    ("image/png", 0, b"\x89PNG\r\n\x1a\n"),
    ("image/gif", 0, b"GIF8"),
    ("audio/amr", 0, b"#!AMR"),
    ("audio/mpeg", 0, b"ID3"),
    ("audio/mpeg", 0, b"\xff\xfb"),
    ("video/mp4", 4, b"ftyp"),
)


class MediaRefused(Exception):
    """Too large, or not of a type that people may send. Fetching it again changes nothing."""


@dataclass(frozen=True, slots=True)
class Media:
    """`content_type` is what the bytes are, not what anybody said of them."""

    content_type: str
    content: bytes = field(repr=False)


def checked(content: bytes) -> Media:
    """Raises `MediaRefused` unless the first bytes are those of a known type."""
    for content_type, offset, signature in _SIGNATURES:
        if content[offset : offset + len(signature)] == signature:
            return Media(content_type, content)
    raise MediaRefused("neither a picture, a voice nor a video")
