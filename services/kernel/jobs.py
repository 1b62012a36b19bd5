"""Jobs: what time triggers, on one replica at a time, under a lease checked in every chunk's transaction."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, or_, select, text, update
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
    async def chunk(self, name: str = "all", *, task: str | None = None) -> AsyncIterator[UnitOfWork]:
        """A transaction of the run that fails with `LeaseLost` when the lease is no longer ours.

        Ids derive from the due time, or from `task` where the work has an id of its own that outlives a run.
        """
        cause = Cause(id=f"{self.job.name}|{task or self.due_at.isoformat()}|{name}", source="job", type=self.job.name)
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
    """Looks every quarter of a second which jobs are due and runs each beside the others; a long one delays none."""

    def __init__(self, *, jobs: tuple[Job, ...], database: Database, holder: str) -> None:
        self._jobs = jobs
        self._database = database
        self._holder = holder
        self._under_way: dict[str, asyncio.Task[None]] = {}
        self.running = True

    async def run(self) -> None:
        while self.running:
            try:
                due = await self._due()
            except Exception as error:
                self._failed("due", error)
                due = []
            for job in due:
                if job.name not in self._under_way:
                    task = asyncio.create_task(self._run(job), name=f"job-{job.name}")
                    self._under_way[job.name] = task
                    task.add_done_callback(lambda _, name=job.name: self._under_way.pop(name))  # type: ignore[misc]
            await asyncio.sleep(0.25)
        await asyncio.gather(*self._under_way.values())

    async def _due(self) -> list[Job]:
        """A cheap look without a lock; who really runs the job is decided by the claim."""
        lease = self._database.tables.job_lease
        free = or_(lease.c.expires_at.is_(None), lease.c.expires_at < func.clock_timestamp())
        async with self._database.engine("worker").connect() as connection:
            rows = await connection.execute(select(lease.c.name, lease.c.last_due_at, lease.c.last_finished_at, free))
            known = {row[0]: row for row in rows}
        now = self._database.clock.now()

        def is_due(job: Job) -> bool:
            _, due_at, finished_at, is_free = known.get(job.name, (None, None, None, True))
            return bool(is_free and (due_at is None or finished_at is None or due_at <= now - job.every))

        return [job for job in self._jobs if is_due(job)]

    async def _run(self, job: Job) -> None:
        try:
            run = await self._claim(job)
            if run is not None:
                with metrics.JOB_SECONDS.labels(self._database.service, job.name).time():
                    await job.run(run)
                await self._finish(run)
        except LeaseLost:
            log.warning("lease lost", extra={"job": job.name})
        except Exception as error:
            self._failed(job.name, error)

    def _failed(self, name: str, error: Exception) -> None:
        metrics.JOB_FAILURES.labels(self._database.service, name).inc()
        level = logging.WARNING if is_transient(error) else logging.ERROR
        log.log(level, "job failed", extra={"job": name}, exc_info=error)

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
