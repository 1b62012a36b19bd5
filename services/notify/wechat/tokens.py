"""The one access token (and page ticket) of an account, shared by all replicas: a row, a version, an advisory lock."""

import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert as upsert

from services.kernel.settings import DatabaseRole
from services.kernel.work import EVERYTHING, Actor, Cause, Database, UnitOfWork
from services.notify.adapters.wechat.tokens import FetchedToken, StoredToken
from services.notify.directory.vault import vault
from services.notify.tables import wechat_token

_KNOWN_FOR_S = 1.0
"""A replaced token is refused by WeChat and then reloaded, so a short memory costs nothing but one refused call."""


class DatabaseTokenStore:
    """Implements `TokenStore`; `fetch` runs while the lock is held, so the others wait and then find its result."""

    def __init__(self, *, database: Database, app_id: str, role: DatabaseRole, kind: str = "access") -> None:
        self._database = database
        self._role: DatabaseRole = role
        self._where = (wechat_token.c.app_id == app_id, wechat_token.c.kind == kind)
        self._name = (app_id, kind)
        self._known: StoredToken | None = None
        self._read_at = float("-inf")

    async def get(self) -> StoredToken | None:
        if self._known is None or time.monotonic() - self._read_at > _KNOWN_FOR_S:
            async with self._work("read") as work:
                self._remember(await self._stored(work))
        return self._known

    async def refresh(self, *, stale_version: int, fetch: Callable[[], Awaitable[FetchedToken]]) -> StoredToken:
        async with self._work("refresh") as work:
            lock = func.hashtextextended("|".join(("notify-wechat-token", *self._name)), 0)
            await work.db.execute(select(func.pg_advisory_xact_lock(lock)))
            stored = await self._stored(work)
            if stored is None or stored.version == stale_version:
                stored = await self._store(work, await fetch(), version=(stored.version if stored else 0) + 1)
        self._remember(stored)
        return stored

    async def _stored(self, work: UnitOfWork) -> StoredToken | None:
        row = (await work.db.execute(select(wechat_token).where(*self._where))).first()
        if row is None:
            return None
        value = vault().house_key().open(row.value_cipher, field=f"wechat-{row.kind}")
        return StoredToken(value, row.expires_at, row.version)

    async def _store(self, work: UnitOfWork, fetched: FetchedToken, *, version: int) -> StoredToken:
        app_id, kind = self._name
        values = {
            "version": version, "expires_at": fetched.expires_at,
            "value_cipher": vault().house_key().seal(fetched.value, field=f"wechat-{kind}"),
        }  # fmt: skip
        statement = upsert(wechat_token).values(app_id=app_id, kind=kind, **values)
        await work.db.execute(statement.on_conflict_do_update(index_elements=["app_id", "kind"], set_=values))
        return StoredToken(fetched.value, fetched.expires_at, version)

    def _remember(self, token: StoredToken | None) -> None:
        self._known, self._read_at = token, time.monotonic()

    def _work(self, what: str) -> AbstractAsyncContextManager[UnitOfWork]:
        cause = Cause(id="|".join((what, *self._name)), source="wechat", type="token")
        actor = Actor(person_id="system:notify", role="system")
        return self._database.work(role=self._role, cause=cause, actor=actor, scope=EVERYTHING)
