"""Routes of the policy: its versions, why somebody was told or not, and what another version would change."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import Body, Path, Query
from sqlalchemy import select

from services.contracts.envelope import Day
from services.kernel.auth.grants import visible
from services.kernel.http import Work, allow, service_router
from services.kernel.work import UnitOfWork
from services.notify.policy import replay, schemas, versions
from services.notify.policy.reasons import sentence
from services.notify.policy.store import policy_in_force, policy_of
from services.notify.tables import delivery

router = service_router("notify")
KEEPERS = ("department-head", "system-administrator")
WATCHERS = ("account-manager", "inspector", "team-leader", "department-head", "dispatcher", "planner", "service-desk",
            "auditor")  # fmt: skip
Version = Annotated[str, Path(max_length=36, description="`shipped`, or the id of a version")]
NOT_CONSIDERED = schemas.ReasonText(
    code="nothing-to-these-customers",
    zh="规划时该人员与相关客户没有任何关系，也不在名单上。",
    en="When this was planned the person was nothing to these customers and stood on no list.",
)


@router.get("/policies", summary="通知策略版本 Versions of the policy")
@allow(*WATCHERS, "system-administrator")
async def policies(work: Work) -> schemas.Policies:
    in_force = await policy_in_force(work)
    return schemas.Policies(in_force=in_force.version, items=[_entry(r) for r in await versions.listed(work)])


@router.get("/policies/{version}", summary="策略全文 One version in full")
@allow(*WATCHERS, "system-administrator")
async def policy(work: Work, version: Version) -> schemas.PolicyDocument:
    found = await policy_of(work, version=version)
    return schemas.PolicyDocument(version=version, document=found.policy.model_dump(mode="json"))


@router.post("/policies", summary="录入策略 Enter a version", status_code=201)
@allow(*KEEPERS)
async def enter(work: Work, body: Annotated[dict[str, Any], Body()]) -> schemas.PolicyEntry:
    return _entry(await versions.enter(work, document=body))


@router.post("/policies/{version}/confirm", summary="确认策略（非录入人） Confirm a version, not its author")
@allow(*KEEPERS)
async def confirm(work: Work, version: UUID) -> schemas.PolicyEntry:
    return _entry(await versions.confirm(work, version=version))


@router.get("/policies/{version}/difference", summary="按某日事件试算差异 Who would be told otherwise on that day")
@allow("department-head", "auditor")
async def difference(
    work: Work, version: Version, day: Day, limit: Annotated[int, Query(ge=1, le=2000)] = 500
) -> schemas.Difference:
    happenings, changes = await replay.differences(work, day=day, version=version)
    added = sum(c.before is None for c in changes)
    dropped = sum(c.after is None for c in changes)
    return schemas.Difference(
        happenings=happenings, added=added, dropped=dropped, other_channels=len(changes) - added - dropped,
        items=[
            schemas.ChangeLine(
                happening=c.happening, person_id=c.person_id, customer_id=c.customer_id,
                before=None if c.before is None else list(c.before), after=None if c.after is None else list(c.after),
            )
            for c in changes[:limit]
        ],
    )  # fmt: skip


@router.get("/messages/why", summary="为何收到或未收到 Why somebody got this, or not")
@allow(*WATCHERS)
async def why(
    work: Work,
    subject_id: Annotated[str, Query(max_length=64)],
    person_id: Annotated[str | None, Query(max_length=64)] = None,
) -> schemas.Why:
    found = await replay.explanations(work, subject_id=subject_id, person_id=person_id)
    lines = [
        schemas.WhyLine(
            person_id=e.person_id, customer_id=e.customer_id, happening=p.happening, event_class=p.event_class,
            policy_version=p.policy_version, planned_at=p.planned_at, told=e.told,
            reasons=[
                schemas.ReasonText(code=r.why.value, zh=sentence(r).zh, en=sentence(r).en) for r in e.reasons
            ],
        )
        for p, e in found[:500]
    ]  # fmt: skip
    messages = [] if person_id is None else await _messages(work, subject_id, person_id)
    missing = NOT_CONSIDERED if person_id is not None and not lines else None
    return schemas.Why(items=lines, messages=messages, not_considered=missing)


async def _messages(work: UnitOfWork, subject_id: str, person_id: str) -> list[schemas.Sent]:
    d = delivery.c
    query = select(d.channel, d.state, d.reason, d.created_at).where(
        d.subject_id == subject_id, d.person_id == person_id, visible(d.customer_id, work=work)
    )
    rows = await work.db.execute(query.order_by(d.created_at, d.channel).limit(200))
    return [schemas.Sent(**r._mapping) for r in rows]


def _entry(row: dict[str, Any]) -> schemas.PolicyEntry:
    return schemas.PolicyEntry(**{name: row[name] for name in schemas.PolicyEntry.model_fields})
