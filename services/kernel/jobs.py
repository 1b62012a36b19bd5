"""Jobs: what time triggers, on one replica at a time, under a lease checked in every chunk's transaction."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, or_, text, update
from sqlalchemy.dialects.postgresql import insert as upsert

from services.kernel import metrics
from services.kernel.errors import is_transient
from services.kernel.manifest import Job
from services.kernel.work import EVERYTHING, Actor, Cause, Database, UnitOfWork

log = logging.getLogger(__name__)

_LEASE = text("clock_timestamp() + interval '60 seconds'")


class LeaseLost(Exception):
    """Another replica took the job; this one must stop writing."""


@dataclass(frozen=True, kw_only=True)
class JobRun:
    """One due run. `due_at` is business time of the injected clock and names the run, so that ids repeat."""

    job: Job
    database: Database
    holder: str
    fence: int
    due_at: datetime

    @asynccontextmanager
    async def chunk(self, name: str = "all") -> AsyncIterator[UnitOfWork]:
        """A transaction of the run that fails with `LeaseLost` when the lease is no longer ours."""
        cause = Cause(id=f"{self.job.name}|{self.due_at.isoformat()}|{name}", source="job", type=self.job.name)
        actor = Actor(person_id=f"system:{self.database.service}", role="system")
        async with self.database.work(role="worker", cause=cause, actor=actor, scope=EVERYTHING) as work:
            lease = work.tables.job_lease
            kept = await work.db.execute(
                update(lease)
                .where(lease.c.name == self.job.name, lease.c.holder == self.holder, lease.c.fence == self.fence)
                .values(expires_at=_LEASE)
                .returning(lease.c.fence)
            )
            if kept.first() is None:
                raise LeaseLost(self.job.name)
            yield work


class JobRunner:
    def __init__(self, *, jobs: tuple[Job, ...], database: Database, holder: str) -> None:
        self._jobs = jobs
        self._database = database
        self._holder = holder
        self.running = True

    async def run(self) -> None:
        while self.running:
            for job in self._jobs:
                try:
                    await self._run_if_due(job)
                except LeaseLost:
                    log.warning("lease lost", extra={"job": job.name})
                except Exception as error:
                    metrics.JOB_FAILURES.labels(self._database.service, job.name).inc()
                    log.log(
                        logging.WARNING if is_transient(error) else logging.ERROR,
                        "job failed", extra={"job": job.name}, exc_info=error,
                    )  # fmt: skip
            await asyncio.sleep(0.25)

    async def _run_if_due(self, job: Job) -> None:
        run = await self._claim(job)
        if run is None:
            return
        with metrics.JOB_SECONDS.labels(self._database.service, job.name).time():
            await job.run(run)
        await self._finish(run)

    async def _claim(self, job: Job) -> JobRun | None:
        cause = Cause(id=f"claim|{job.name}", source="job", type=job.name)
        actor = Actor(person_id=f"system:{self._database.service}", role="system")
        async with self._database.work(role="worker", cause=cause, actor=actor, scope=EVERYTHING) as work:
            lease = work.tables.job_lease
            await work.db.execute(upsert(lease).values(name=job.name).on_conflict_do_nothing())
            claimed = await work.db.execute(
                update(lease)
                .where(
                    lease.c.name == job.name,
                    or_(lease.c.last_finished_at.is_(None), lease.c.last_due_at <= work.now - job.every),
                    or_(lease.c.expires_at.is_(None), lease.c.expires_at < func.clock_timestamp()),
                )
                .values(holder=self._holder, fence=lease.c.fence + 1, expires_at=_LEASE, last_due_at=work.now)
                .returning(lease.c.fence)
            )
            fence = claimed.scalar_one_or_none()
            if fence is None:
                return None
            return JobRun(job=job, database=self._database, holder=self._holder, fence=fence, due_at=work.now)

    async def _finish(self, run: JobRun) -> None:
        async with run.chunk("finish") as work:
            lease = work.tables.job_lease
            await work.db.execute(
                update(lease)
                .where(lease.c.name == run.job.name, lease.c.fence == run.fence)
                .values(expires_at=None, last_finished_at=run.due_at)
            )


EVERY_MINUTE = timedelta(minutes=1)
