"""Token buckets in the database, shared by all replicas: a claim takes its tokens for all its messages at once.

Tokens may be taken a little before they are due: the bucket is below zero then, and each message waits for its own.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import lru_cache
from importlib.resources import files

from sqlalchemy import String, bindparam, select, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import insert as upsert

from services.kernel.work import UnitOfWork
from services.notify import metrics
from services.notify.rules.limits import Limit, available, usable
from services.notify.tables import token_bucket

Limits = Mapping[str, tuple[Limit, ...]]

_TAKE_ONE_EACH = text(
    """
    INSERT INTO notify.token_bucket AS b (name, tokens, refilled_at)
    SELECT name, CAST(:burst AS float8) - 1, CAST(:now AS timestamptz) FROM unnest(CAST(:names AS varchar[])) AS n(name)
    ORDER BY name
    ON CONFLICT (name) DO UPDATE SET
      tokens = least(CAST(:burst AS float8),
                     b.tokens + greatest(extract(epoch FROM excluded.refilled_at - b.refilled_at), 0)
                     * CAST(:rate AS float8)) - 1,
      refilled_at = greatest(b.refilled_at, excluded.refilled_at)
    WHERE least(CAST(:burst AS float8),
                b.tokens + greatest(extract(epoch FROM excluded.refilled_at - b.refilled_at), 0)
                * CAST(:rate AS float8)) >= 1
    RETURNING b.name
    """
).bindparams(bindparam("names", type_=ARRAY(String)))


@lru_cache(maxsize=1)
def shipped_limits() -> Limits:
    raw = json.loads(files("services.notify.delivery").joinpath("limits.json").read_text("utf-8"))
    found: dict[str, tuple[Limit, ...]] = {}
    for entry in raw:
        limit = Limit(**{**entry, "valid_from": date.fromisoformat(entry.get("valid_from", "2026-01-01"))})
        found[limit.provider] = (*found.get(limit.provider, ()), limit)
    return found


class Allowance:
    """Buckets of the provider's account or of one template, locked by this transaction until it ends."""

    def __init__(self, work: UnitOfWork, limits: Sequence[Limit], *, template_id: str = "") -> None:
        self._work = work
        self._limits = {limit.bucket(now=work.now, template_id=template_id): limit for limit in limits}
        self._tokens: dict[str, float] = {}
        self._refilled_at: dict[str, datetime] = {}

    async def lock(self) -> None:
        if not self._limits:
            return
        now = self._work.now
        rows = [
            {"name": name, "tokens": limit.burst, "refilled_at": now} for name, limit in sorted(self._limits.items())
        ]
        await self._work.db.execute(upsert(token_bucket).values(rows).on_conflict_do_nothing())
        query = select(token_bucket).where(token_bucket.c.name.in_(sorted(self._limits)))
        for row in await self._work.db.execute(query.order_by(token_bucket.c.name).with_for_update()):
            limit = self._limits[row.name]
            self._tokens[row.name] = available(limit, tokens=row.tokens, refilled_at=row.refilled_at, now=now)
            # Who waited for the lock may have an older now: the time between is not refilled twice.
            self._refilled_at[row.name] = max(row.refilled_at, now)

    def room(self, *, urgent: bool, ahead_s: float = 0.0) -> int | None:
        """How many messages may go until `ahead_s` from now; None without any limit."""
        found = [
            usable(limit, self._tokens[name] + limit.per_second * ahead_s, urgent=urgent)
            for name, limit in self._limits.items()
        ]
        return min(found) if found else None

    def due_s(self, nth: int) -> float:
        """In how many seconds the token of the nth message (from 0) of this claim is there."""
        waits = (
            (nth + 1 - self._tokens[name]) / limit.per_second
            for name, limit in self._limits.items()
            if limit.per_second
        )
        return max(waits, default=0.0)

    @property
    def per_second(self) -> float | None:
        """The pace of the tightest limit that refills; None without one."""
        return min((limit.per_second for limit in self._limits.values() if limit.per_second), default=None)

    def soonest(self, *, ahead_s: float = 0.0) -> timedelta:
        """When the next message may be claimed, at the earliest."""
        waits = [
            (1 - self._tokens[name]) / limit.per_second - ahead_s if limit.per_second else 60.0
            for name, limit in self._limits.items()
            if self._tokens[name] < 1
        ]
        return timedelta(seconds=max(waits, default=0.0))

    async def spend(self, count: int) -> None:
        if count <= 0 or not self._limits:
            return
        values = [
            {"name": name, "tokens": self._tokens[name] - count, "refilled_at": self._refilled_at[name]}
            for name in sorted(self._limits)
        ]
        put = upsert(token_bucket).values(values)
        await self._work.db.execute(
            put.on_conflict_do_update(
                index_elements=["name"],
                set_={"tokens": put.excluded.tokens, "refilled_at": put.excluded.refilled_at},
            )
        )
        for name, limit in self._limits.items():
            left = self._tokens[name] = self._tokens[name] - count
            metrics.QUOTA_REMAINING.labels(limit.provider, limit.name).set(max(left, 0))


async def take_one_each(work: UnitOfWork, limit: Limit, *, people: Iterable[str]) -> dict[str, timedelta]:
    """One token for each person; who gets none, and how long until the next."""
    names = {limit.bucket(now=work.now, person_id=person): person for person in people}
    if not names:
        return {}
    given = await work.db.execute(
        _TAKE_ONE_EACH, {"names": sorted(names), "burst": limit.burst, "rate": limit.per_second, "now": work.now}
    )
    granted = set(given.scalars())
    wait = timedelta(seconds=1 / limit.per_second if limit.per_second else 3600)
    return {person: wait for name, person in names.items() if name not in granted}
