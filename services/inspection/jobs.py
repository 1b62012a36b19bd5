"""What time does to hazards."""

from datetime import timedelta

from services.inspection.actions.hazards import mark_overdue
from services.kernel.jobs import JobRun
from services.kernel.manifest import Job

_CHUNK = 100


async def _say_overdue(run: JobRun) -> None:
    chunk, marked = 0, _CHUNK
    while marked == _CHUNK:
        async with run.chunk(str(chunk)) as work:
            marked = await mark_overdue(work, limit=_CHUNK)
        chunk += 1


OVERDUE = Job(name="hazards-overdue", every=timedelta(minutes=1), run=_say_overdue)
