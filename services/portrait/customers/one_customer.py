"""What a portrait is read with: the profile and the newest score, as a hot read of the kernel."""

from sqlalchemy import select

from services.kernel.hot_reads import OWNER, HotRead
from services.kernel.hot_routes import HotRow
from services.portrait import schemas
from services.portrait import tables as t
from services.portrait.rules.efficiency_score import ScoreScheme
from services.portrait.scoring.dated_documents import scheme_named
from services.portrait.scoring.newest_score import newest_block, newest_score
from services.portrait.scoring.results import score_found

READ_CUSTOMER = HotRead(
    name="read_customer",
    action="customer-read",
    object_type="customer",
    what_zh="客户",
    what_en="customer",
    row=select(t.profile).where(t.profile.c.customer_id == OWNER, t.profile.c.body.is_not(None)),
    more=newest_block(customer_id=OWNER),
)


async def latest_score(found: HotRow) -> schemas.Score | None:
    async def scheme(version: str) -> ScoreScheme | None:
        # What was entered under a version never changes.
        if version not in found.memory:
            async with found.work() as work:
                named = await scheme_named(work, version=version)
            if named is None:
                return None
            found.memory[version] = named
        scheme: ScoreScheme = found.memory[version]
        return scheme

    return await score_found(newest_score(found.more), scheme=scheme) if found.more is not None else None
