"""Takes chunks of scoring runs beside the service, in every replica that works."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

from services.kernel import metrics
from services.kernel.errors import is_transient
from services.kernel.runtime import Runtime
from services.kernel.work import EVERYTHING, Actor, Cause, Database
from services.portrait.scoring.runs import claim_chunk, work_on

log = logging.getLogger(__name__)
IDLE_SECONDS = 0.5


class ScoringWorker:
    def __init__(self, *, database: Database, holder: str, run_id: UUID | None = None) -> None:
        self._database = database
        self._holder = holder
        self._run_id = run_id
        self.running = True

    async def turn(self) -> bool:
        """One chunk; False when there is none to take."""
        cause = Cause(id="claim", source="score-run", type="claim")
        actor = Actor(person_id="system:portrait", role="system")
        async with self._database.work(role="worker", cause=cause, actor=actor, scope=EVERYTHING) as work:
            chunk = await claim_chunk(work, run_id=self._run_id)
            if chunk is None:
                return False
            await work_on(work, chunk, holder=self._holder)
            return True

    async def run(self) -> None:
        while self.running:
            try:
                busy = await self.turn()
            except Exception as error:
                metrics.JOB_FAILURES.labels("portrait", "scoring").inc()
                log.log(
                    logging.WARNING if is_transient(error) else logging.ERROR, "scoring chunk failed", exc_info=error
                )
                busy = False
            if not busy:
                await asyncio.sleep(IDLE_SECONDS)


@asynccontextmanager
async def scoring(runtime: Runtime) -> AsyncIterator[None]:
    """The worker beside the service, from its start to its end."""
    worker = ScoringWorker(database=runtime.database, holder=runtime.settings.instance)
    task = asyncio.create_task(worker.run(), name="portrait-scoring")
    try:
        yield
    finally:
        worker.running = False
        await asyncio.wait([task], timeout=10)
        task.cancel()
