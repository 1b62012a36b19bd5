"""Routes of announcements: written, previewed, approved, recalled, read."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import false, or_, select

from services.kernel.auth.grants import visible
from services.kernel.http import Work, allow, service_router
from services.notify.announcements import actions, schemas
from services.notify.announcements.audience import Audience, people
from services.notify.channel_settings import channel_settings
from services.notify.directory.contacts import reach_of
from services.notify.tables import announced_to, announcement

router = service_router("notify")
AUTHORS = ("account-manager", "trainer", "team-leader", "department-head")
LEADERS = ("team-leader", "department-head")
CUSTOMER = ("customer-contact", "customer-electrician", "customer-administrator")


@router.post("/announcements", summary="撰写通知 Write an announcement", status_code=201)
@allow(*AUTHORS)
async def write(work: Work, body: schemas.NewAnnouncement) -> schemas.Announcement:
    given = body.model_dump(exclude={"audience"})
    return _shown(await actions.write(work, audience=body.audience, **given))


@router.get("/announcements", summary="通知列表 Announcements")
@allow(*AUTHORS, "auditor")
async def listed(work: Work) -> schemas.Announcements:
    """Own ones, those whose list holds somebody in the caller's scope, and for leaders those that wait for approval."""
    a, to = announcement.c, announced_to.c
    seen = select(to.announcement_key).where(visible(to.customer_id, work=work))
    waiting = a.state == "draft" if work.actor.role in LEADERS else false()
    query = select(announcement).where(or_(a.author == work.actor.person_id, a.announcement_key.in_(seen), waiting))
    rows = (await work.db.execute(query.order_by(a.written_at.desc()).limit(200))).mappings()
    return schemas.Announcements(items=[_shown(dict(r)) for r in rows])


@router.get("/announcements/{announcement_key}/preview", summary="预览受众与文本 Preview of the audience and the text")
@allow(*AUTHORS)
async def preview(work: Work, announcement_key: UUID) -> schemas.AudienceCount:
    """As the caller's scope draws it now; the list is frozen at the approval."""
    row = await actions.row_of(work, key=announcement_key)
    found = await people(work, audience=Audience.model_validate(row["audience"]))
    offered = channel_settings().channels()
    reach = {p: c & offered for p, c in (await reach_of(work, found)).items()}
    counted = sorted(offered - {"inbox", "chat"})
    return schemas.AudienceCount(
        people=len(found), customers=len(set(found.values())),
        by_channel={channel: sum(channel in c for c in reach.values()) for channel in counted},
        unreachable=sum(not reach.get(p) for p in found), title_zh=row["headline"], body_zh=row["text"],
    )  # fmt: skip


@router.post("/announcements/{announcement_key}/approve", summary="批准并冻结名单 Approve and freeze the list")
@allow(*LEADERS)
async def approve(work: Work, announcement_key: UUID) -> schemas.Approved:
    row, count = await actions.approve(work, key=announcement_key)
    return schemas.Approved(announcement=_shown(row), listed=count)


@router.post("/announcements/{announcement_key}/recall", summary="发送前撤回 Recall before sending")
@allow(*LEADERS)
async def recall(work: Work, announcement_key: UUID) -> schemas.Announcement:
    return _shown(await actions.recall(work, key=announcement_key))


@router.get("/announcements/{announcement_key}/readers", summary="阅读证明 Who has read it")
@allow(*AUTHORS, "auditor")
async def readers(work: Work, announcement_key: UUID) -> schemas.ReadProof:
    await actions.row_of(work, key=announcement_key)
    read = await actions.readers(work, key=announcement_key)
    to = announced_to.c
    query = select(to.person_id, to.customer_id).where(
        to.announcement_key == announcement_key, visible(to.customer_id, work=work)
    )
    items = [
        schemas.Reader(person_id=person, customer_id=customer, read_at=read.get(person))
        for person, customer in await work.db.execute(query.order_by(to.person_id))
    ]
    return schemas.ReadProof(listed=len(items), read=sum(i.read_at is not None for i in items), items=items)


@router.post("/announcements/{announcement_key}/read", summary="已阅 I have read it", status_code=204)
@allow(*CUSTOMER)
async def read(work: Work, announcement_key: UUID) -> None:
    await actions.mark_read(work, key=announcement_key)


def _shown(row: Mapping[str, Any]) -> schemas.Announcement:
    return schemas.Announcement(**{name: row[name] for name in schemas.Announcement.model_fields})
