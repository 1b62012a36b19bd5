"""The portrait service on an empty schema, driven from outside: records in, tables, outbox and HTTP out."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import uvicorn
from fastapi import FastAPI

from deploy.local.processes import free_port
from services.contracts.envelope import Event
from services.kernel.app import build_app
from services.kernel.auth.dev_issuer import build_issuer, issue, load_key
from services.kernel.auth.grants import Grant, ScopeKind, replace_grants
from services.kernel.broker import Record
from services.kernel.clock import BUSINESS_ZONE
from services.kernel.consumer import Applier, Releaser
from services.kernel.jobs import JobRunner
from services.kernel.manifest import Rejected
from services.kernel.settings import KernelSettings
from services.kernel.work import EVERYTHING, Actor, Cause, Database
from services.portrait.manifest import SERVICE
from services.portrait.scoring.worker import ScoringWorker

AUDIENCE = "keyline-tests"
NOW = datetime.combine(datetime.now(BUSINESS_ZONE).date(), time(12), tzinfo=BUSINESS_ZONE).astimezone(UTC)
"""The business hour at which each test begins: noon, so that no test's day ends before the test does."""
numbers = count(1)


@dataclass(kw_only=True)
class Portrait:
    """The service on an empty schema, driven by records as the broker would hand them over."""

    settings: KernelSettings
    dsn: str
    database: Database
    folder: Path
    offsets: Iterator[int] = field(default_factory=count)

    async def hear(self, *events: Event) -> list[str]:
        applier = Applier(service=SERVICE, database=self.database)
        outcomes = [await applier.apply(self.record(event)) for event in events]
        while await Releaser(applier=applier).turn():
            pass
        return outcomes

    def record(self, event: Event, *, body: bytes | None = None) -> Record:
        headers = {
            "ce_id": f"e{next(numbers)}",
            "ce_source": "tests",
            "ce_type": event.TYPE,
            "ce_time": NOW.isoformat(),
        }
        return Record(
            topic=event.TOPIC,
            partition=0,
            offset=next(self.offsets),
            key=event.key.encode(),
            value=event.to_wire() if body is None else body,
            headers=headers,
            timestamp_ms=0,
        )

    async def read_in_bulk(self, *records: Record) -> list[Rejected]:
        cause = Cause(id=f"batch-{next(numbers)}", source="tests", type="batch")
        actor = Actor(person_id="system:portrait")
        async with self.database.work(role="worker", cause=cause, actor=actor, scope=EVERYTHING) as work:
            return list(await SERVICE.bulk[0].handler(records, work=work))

    async def rows(self, sql: str) -> list[asyncpg.Record]:
        connection = await asyncpg.connect(self.dsn)
        try:
            return list(await connection.fetch(sql))
        finally:
            await connection.close()

    async def until_scored(self) -> None:
        async with asyncio.timeout(10):
            while True:
                if await self.rows("SELECT 1 FROM portrait.score_run WHERE finished_at IS NOT NULL"):
                    return
                await asyncio.sleep(0.05)

    async def profile(self, customer_id: str = "C-1") -> dict[str, Any]:
        (row,) = await self.rows(f"SELECT body FROM portrait.profile WHERE customer_id = '{customer_id}'")
        return dict(json.loads(row["body"]))

    async def said(self, type_: str) -> list[dict[str, Any]]:
        found = await self.rows("SELECT type, payload FROM portrait.outbox ORDER BY aggregateid, version")
        return [json.loads(r["payload"]) for r in found if r["type"] == f"keyline.portrait.{type_}.v1"]

    async def grant(self, person_id: str, role: str, *, kind: ScopeKind, scope_id: str = "") -> None:
        grant = Grant(
            person_id=person_id,
            role=role,
            scope_kind=kind,
            scope_id=scope_id,
            valid_from=NOW - timedelta(days=1),
            valid_to=None,
        )
        cause = Cause(id=person_id, source="tests", type="grant")
        actor = Actor(person_id="system:portrait")
        async with self.database.work(role="worker", cause=cause, actor=actor, scope=EVERYTHING) as work:
            await replace_grants(work, origin=f"person:{person_id}", grants=[grant])

    @contextlib.asynccontextmanager
    async def served(self) -> AsyncIterator["Caller"]:
        key = load_key(self.folder / "issuer.json")
        issuer = self.settings.oidc_issuer
        signing = build_issuer(key=key, issuer=issuer, audience=AUDIENCE, environment="test")
        app = build_app([SERVICE], settings=self.settings, role="api")
        async with _listening(signing, int(issuer.rsplit(":", 1)[1])), _listening(app, free_port()) as url:
            yield Caller(url=url, token=lambda p: issue(key=key, issuer=issuer, audience=AUDIENCE, person_id=p))

    @contextlib.asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        runner = JobRunner(jobs=SERVICE.jobs, database=self.database, holder="tests")
        worker = ScoringWorker(database=self.database, holder="tests")
        tasks = [asyncio.create_task(runner.run()), asyncio.create_task(worker.run())]
        try:
            yield
        finally:
            runner.running = worker.running = False
            await asyncio.gather(*tasks)


@dataclass(kw_only=True)
class Caller:
    url: str
    token: Any

    async def __call__(self, method: str, path: str, *, by: str, body: Any = None) -> tuple[int, Any]:
        """`body` is sent as JSON, bytes as they are; an answer is JSON, the bytes of a PDF, or text."""
        header = {"Authorization": f"Bearer {self.token(by)}", "Idempotency-Key": f"key-{next(numbers):08}"}
        sent = {"data": body} if isinstance(body, bytes) else {"json": body}
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, f"{self.url}/portrait/v1{path}", headers=header, **sent) as answer,
        ):
            if "json" in answer.content_type:
                return answer.status, await answer.json(content_type=None)
            if answer.content_type == "application/pdf":
                return answer.status, await answer.read()
            return answer.status, await answer.text()


@contextlib.asynccontextmanager
async def _listening(app: FastAPI, port: int) -> AsyncIterator[str]:
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="warning"))
    task = asyncio.create_task(server.serve())
    while not server.started:
        assert not task.done(), task.exception()
        await asyncio.sleep(0.02)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await task
