"""Named crash points. `KEYLINE_FAULT=after-commit:3` ends the process, as kill -9 would, at the third visit."""

import os
from collections import Counter

_visits: Counter[str] = Counter()
_armed: tuple[str, int] | None = None


def arm(specification: str, *, environment: str) -> None:
    """Raises `ValueError` outside development and test: production processes carry no bomb."""
    global _armed
    if not specification:
        return
    if environment == "production":
        raise ValueError("KEYLINE_FAULT is refused in production; unset it")
    name, _, nth = specification.partition(":")
    _armed = (name, int(nth or 1))


def point(name: str) -> None:
    if _armed is None:
        return
    _visits[name] += 1
    if (name, _visits[name]) == _armed:
        os._exit(137)
