"""Requests change the directory; the worker, who alone may give access, draws the grants from it and says them.

Ending access does not wait for that: it happens in the request itself.
"""

from datetime import timedelta

from sqlalchemy import delete, insert

from services.kernel.jobs import JobRun
from services.kernel.work import UnitOfWork
from services.notify.directory.persons import publish_engagements
from services.notify.directory.posts import lock_directory, publish_posts
from services.notify.tables import directory_change

EVERY = timedelta(seconds=1)


_POSTS, _PERSON = "posts", "person:"


async def person_changed(work: UnitOfWork, *, person_id: str) -> None:
    await work.db.execute(insert(directory_change).values(what=f"{_PERSON}{person_id}"))


async def posts_changed(work: UnitOfWork) -> None:
    await work.db.execute(insert(directory_change).values(what=_POSTS))


async def publish_directory(run: JobRun) -> None:
    async with run.chunk() as work:
        gone = await work.db.execute(delete(directory_change).returning(directory_change.c.what))
        changed = set(gone.scalars())
        if _POSTS in changed:
            await lock_directory(work)
            await publish_posts(work)
        for what in sorted(changed - {_POSTS}):
            await publish_engagements(work, person_id=what.removeprefix(_PERSON))
