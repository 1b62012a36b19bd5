"""`python -m bench.scoring.replica RUN_ID`: a replica that is ready before the clock starts.

Says `ready`, waits for a line, takes chunks of the run until there is none, and reports.
"""

import asyncio
import sys
import time
from uuid import UUID

from bench.children import report
from services.kernel.settings import KernelSettings
from services.kernel.work import EVERYTHING, Actor, Cause, Database
from services.portrait.scoring.worker import ScoringWorker
from services.portrait.tables import metadata


async def work(run_id: UUID) -> dict[str, float]:
    """How many chunks, when the last of them was done on the clock that all processes share, and processor seconds."""
    settings = KernelSettings()
    database = Database(service="portrait", metadata=metadata, settings=settings)
    cause, actor = Cause(id="open", source="bench", type="open"), Actor(person_id="bench")
    async with database.work(role="worker", cause=cause, actor=actor, scope=EVERYTHING):
        pass
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    begun = time.process_time()
    worker, chunks, idle, done_at = ScoringWorker(database=database, holder="bench", run_id=run_id), 0, 0, 0.0
    while idle < 3:  # the other replica may hold the last chunk before the results are published
        if await worker.turn():
            chunks, idle, done_at = chunks + 1, 0, time.monotonic()
        else:
            idle += 1
            await asyncio.sleep(0.02)
    await database.close()
    return {"chunks": chunks, "done_at": done_at, "work_cpu_s": time.process_time() - begun}


if __name__ == "__main__":
    report(**asyncio.run(work(UUID(sys.argv[1]))))
