"""What time does to hazards."""

from services.inspection.actions.hazards import mark_overdue
from services.kernel.jobs import JobRun

_CHUNK = 100


async def say_overdue(run: JobRun) -> None:
    """Open hazards past their deadline are said to be overdue, once each."""
    chunk, marked = 0, _CHUNK
    while marked == _CHUNK:
        async with run.chunk(str(chunk)) as work:
            marked = await mark_overdue(work, limit=_CHUNK)
        chunk += 1
