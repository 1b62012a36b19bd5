"""A running service: its loops, relay, jobs and watchdog, started and ended in the right order."""

import asyncio
import logging
import os
import threading
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Any, Literal

from aiokafka.errors import KafkaError
from sqlalchemy import text

from services.kernel.broker import Consumer, Producer, TopicSpec, ensure_topics, existing_topics
from services.kernel.bulk import BulkLoop
from services.kernel.consumer import Applier, Loop, Releaser, single_loop
from services.kernel.errors import is_transient
from services.kernel.jobs import JobRunner
from services.kernel.manifest import Job, Service
from services.kernel.observe import Observer
from services.kernel.relay import Relay
from services.kernel.retention import seal_audit, sweep
from services.kernel.settings import KernelSettings
from services.kernel.work import Database

log = logging.getLogger(__name__)

Role = Literal["api", "consumer", "worker", "all"]


class Runtime:
    """One service in one role. `api` serves, `consumer` handles events, `worker` relays, sends and runs jobs."""

    def __init__(self, *, service: Service, settings: KernelSettings, role: Role) -> None:
        self.service = service
        self.settings = settings
        self.role = role
        self.makes: tuple[TopicSpec, ...] = service.topics
        """Topics to create before waiting for others: in one process with its neighbours, theirs as well."""
        self.database = Database(service=service.name, metadata=service.metadata, settings=settings)
        self.loops: list[Loop] = []
        self.relay: Relay | None = None
        self.releaser: Releaser | None = None
        self._runner: JobRunner | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self.failed: str | None = None
        self._stopping = False

    @property
    def consumes(self) -> bool:
        return self.role in ("consumer", "all") and bool(self.service.consumes or self.service.bulk)

    @property
    def works(self) -> bool:
        return self.role in ("worker", "all")

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Topics first, then relay and jobs, then consumers; the reverse on the way out."""
        if self.consumes or self.works:
            await self._topics_ready()
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._stop)
            if self.works:
                self._start_worker()
                if self.service.start is not None:
                    await stack.enter_async_context(self.service.start(self))
            if self.consumes:
                self._start_consumers()
            if self.consumes or self.works:
                self._observe()
            _Watchdog(self).start()
            yield

    async def _topics_ready(self) -> None:
        """Create own topics; wait for the others' (their owners create them)."""
        wanted = {*self.service.single_topics, *(b.topic for b in self.service.bulk)} if self.consumes else set()
        told: set[str] = set()
        while True:
            try:
                created = await ensure_topics(self.makes, settings=self.settings)
                missing = wanted - await existing_topics(settings=self.settings)
            except (KafkaError, OSError, TimeoutError) as error:
                log.warning("broker not ready: %s", type(error).__name__)
            else:
                if created:
                    log.info("topics created: %s", ", ".join(created))
                if not missing:
                    return
                if missing != told:
                    log.info("waiting for topics: %s", ", ".join(sorted(missing)))
                    told = missing
            await asyncio.sleep(0.5)

    def _start_worker(self) -> None:
        dsn = self.settings.database_url(service=self.service.name, role="worker")
        self.relay = Relay(database=self.database, producer=Producer(settings=self.settings), dsn=dsn)
        self._spawn(self.relay.run(), "relay")
        jobs = (*self.service.jobs, *_house_jobs())
        holder = f"{self.settings.instance}-{os.getpid()}"
        self._runner = JobRunner(jobs=jobs, database=self.database, holder=holder)
        self._spawn(self._runner.run(), "jobs")

    def _start_consumers(self) -> None:
        applier = Applier(service=self.service, database=self.database)
        name = f"keyline-{self.service.name}"
        if self.service.consumes:
            consumer = Consumer(settings=self.settings, group=name, topics=self.service.single_topics)
            self.loops.append(single_loop(applier=applier, consumer=consumer))
        for profile in self.service.bulk:
            for member in range(profile.members):
                consumer = Consumer(
                    settings=self.settings, group=f"{name}-{profile.topic}", topics=[profile.topic], packed=True
                )
                self.loops.append(BulkLoop(applier=applier, consumer=consumer, profile=profile, member=member))
        self.releaser = Releaser(applier=applier)
        for loop in self.loops:
            self._spawn(loop.run(), loop.name)
        self._spawn(self.releaser.run(), "releaser")

    def _observe(self) -> None:
        observer = Observer(service=self.service, database=self.database, loops=self.loops, relay=self.relay)
        self._spawn(observer.run(), "observe")

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(work, name=f"{self.service.name}-{name}")
        task.add_done_callback(self._ended)
        self._tasks.append(task)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """A task that dies while the service runs makes it unready and not live: nothing stops in silence."""
        if task.cancelled() or self._stopping:
            return
        error = task.exception()
        self.failed = f"{task.get_name()}: {type(error).__name__ if error else 'ended'}"
        log.error("task ended: %s", self.failed, exc_info=error)

    async def _stop(self) -> None:
        self._stopping = True
        for part in (*self.loops, self.releaser, self._runner):
            if part is not None:
                part.running = False
        named = [t for t in self._tasks if not t.get_name().endswith(("-relay", "-observe"))]
        await _finish(named, seconds=10)
        if self.relay is not None:
            self.relay.running = False
        for task in self._tasks:
            if task.get_name().endswith("-observe"):
                task.cancel()
        await _finish(self._tasks, seconds=5)
        await self.database.close()

    def stalled(self) -> str | None:
        """The name of a loop that has not turned within the limit, or of a task that died."""
        if self.failed:
            return self.failed
        limit = self.settings.poll_stall_seconds
        turns = [(loop.name, loop.last_turn) for loop in self.loops]
        if self.relay is not None:
            turns.append(("relay", self.relay.last_turn))
        late = [name for name, at in turns if time.monotonic() - at > limit]
        return late[0] if late else None

    async def unready(self) -> str | None:
        """Why the service should get no traffic now, if so. Uses its own short database call."""
        if self.stalled():
            return f"stalled: {self.stalled()}"
        stopped = [f"{t}[{p}]" for loop in self.loops for t, p in sorted(loop.stopped_partitions)]
        if stopped:
            return f"stopped for poison: {', '.join(stopped)}"
        try:
            async with (
                asyncio.timeout(2),
                self.database.engine("api" if self.role == "api" else "worker").connect() as c,
            ):
                await c.execute(text("SELECT 1"))
        except Exception as error:
            if not is_transient(error):
                log.exception("readiness")
            return f"database: {type(error).__name__}"
        return None


async def _finish(tasks: list[asyncio.Task[None]], *, seconds: float) -> None:
    if tasks:
        _, late = await asyncio.wait(tasks, timeout=seconds)
        for task in late:
            log.warning("cancelled after %.0f s: %s", seconds, task.get_name())
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)


def _house_jobs() -> tuple[Job, ...]:
    return (
        Job(name="kernel-sweep", every=timedelta(hours=1), run=sweep),
        Job(name="kernel-seal-audit", every=timedelta(minutes=1), run=seal_audit),
    )


class _Watchdog(threading.Thread):
    """Ends a process whose poll loop has been silent for twice the limit; a supervisor restarts it."""

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(daemon=True, name=f"watchdog-{runtime.service.name}")
        self._runtime = runtime

    def run(self) -> None:
        limit = 2 * self._runtime.settings.poll_stall_seconds
        while not self._runtime._stopping:
            time.sleep(1)
            late = [loop.name for loop in self._runtime.loops if time.monotonic() - loop.last_turn > limit]
            if late and not self._runtime._stopping:
                log.critical("poll loop silent for %.0f s, ending the process: %s", limit, ", ".join(late))
                os._exit(70)
