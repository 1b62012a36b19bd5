"""Routes about messages: reading and acknowledging one's own, their timelines, the state of the channels, webhooks."""

from typing import Annotated
from uuid import UUID

from fastapi import Path, Query
from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert as upsert

from services.kernel.auth.grants import visible
from services.kernel.errors import InvalidInput, NotFound
from services.kernel.http import Work, allow, service_router
from services.kernel.work import UnitOfWork
from services.notify import messages_schemas as schemas
from services.notify import queries
from services.notify.api import CUSTOMER, STAFF, WATCHERS
from services.notify.delivery import endpoints, notices, outcomes
from services.notify.delivery.circuits import close_by_hand
from services.notify.delivery.rows import Row, rows_of
from services.notify.delivery.timeline import timeline
from services.notify.policy.store import policy_in_force
from services.notify.rules.proof import Level
from services.notify.tables import circuit, delivery, preference, quiet_hours

router = service_router("notify")
OutageId = Annotated[str, Path(max_length=64)]
EndpointId = Annotated[str, Path(max_length=64)]


@router.post("/inbox/{delivery_id}/open", summary="标记消息已读 Note that I opened a message", status_code=204)
@allow(*CUSTOMER, *STAFF)
async def open_message(work: Work, delivery_id: UUID) -> None:
    row = await _mine(work, delivery_id)
    await outcomes.opened(work, row=row)
    await _audit(work, "message-opened", row)


@router.post("/inbox/{delivery_id}/acknowledge", summary="确认收到 Acknowledge a message", status_code=204)
@allow(*CUSTOMER, *STAFF)
async def acknowledge(work: Work, delivery_id: UUID) -> None:
    row = await _mine(work, delivery_id)
    await outcomes.acknowledged(work, row=row)
    await _audit(work, "message-acknowledged", row)


@router.get("/deliveries/{delivery_id}/timeline", summary="消息经过 All that happened to a message")
@allow(*WATCHERS)
async def message_timeline(work: Work, delivery_id: UUID) -> schemas.Timeline:
    lines = await timeline(work, delivery_id=delivery_id)
    return schemas.Timeline(lines=[schemas.TimelineLine.model_validate(line) for line in lines])


@router.get("/circuits", summary="通道熔断状态 Circuit breakers of the channels")
@allow("system-administrator", "service-desk", "auditor")
async def circuits(work: Work) -> schemas.Circuits:
    rows = await work.db.execute(select(circuit).order_by(circuit.c.provider, circuit.c.template))
    return schemas.Circuits(items=[schemas.Circuit.model_validate(r, from_attributes=True) for r in rows])


@router.post("/circuits/{provider}/close", summary="手动恢复通道 Close a circuit by hand", status_code=204)
@allow("system-administrator")
async def close_circuit(work: Work, provider: Annotated[str, Path(max_length=16)], body: schemas.CloseCircuit) -> None:
    if not await close_by_hand(work, provider=provider, template_id=body.template):
        raise NotFound(what_zh="打开的熔断", what_en="open circuit", field="provider")
    await work.audit(action="circuit-closed", object_type="circuit", object_id=provider, reason=body.reason)


@router.get("/preferences", summary="我的通知偏好 My preferences")
@allow(*CUSTOMER, *STAFF)
async def my_preferences(work: Work) -> schemas.Preferences:
    p, mine = preference.c, work.actor.person_id
    words = await work.db.execute(select(preference).where(p.person_id == mine).order_by(p.event_class, p.channel))
    hours = (await work.db.execute(select(quiet_hours).where(quiet_hours.c.person_id == mine))).first()
    return schemas.Preferences(
        words=[schemas.Preference(event_class=w.event_class, channel=w.channel, wanted=w.wanted) for w in words],
        quiet=None if hours is None else schemas.Quiet(zone=hours.zone, begins=hours.begins, ends=hours.ends),
    )


@router.put("/preferences", summary="修改通知偏好 Change my preferences", status_code=204)
@allow(*CUSTOMER, *STAFF)
async def change_preferences(work: Work, body: schemas.Preferences) -> None:
    classes = (await policy_in_force(work)).policy.classes
    for word in body.words:
        if not word.wanted and word.event_class in classes and classes[word.event_class].mandatory:
            raise InvalidInput(
                zh=f"{word.event_class} 为必达通知，不能关闭。",
                en=f"{word.event_class} is mandatory and cannot be switched off.", field="words",
            )  # fmt: skip
    mine = work.actor.person_id
    await work.db.execute(delete(preference).where(preference.c.person_id == mine))
    rows = [{**w.model_dump(), "person_id": mine, "changed_at": work.now} for w in body.words]
    if rows:
        await work.db.execute(upsert(preference).values(rows).on_conflict_do_nothing())
    await work.db.execute(delete(quiet_hours).where(quiet_hours.c.person_id == mine))
    if body.quiet is not None:
        await work.db.execute(upsert(quiet_hours).values(person_id=mine, **body.quiet.model_dump()))
    await work.audit(action="preferences-changed", object_type="person", object_id=mine, after=body.model_dump())


@router.get("/planned-outages/{outage_id}/proof", summary="计划停电告知证明 Who is proven to know of a planned outage")
@allow(*WATCHERS)
async def planned_proof(work: Work, outage_id: OutageId) -> schemas.NoticeProof:
    plan = await notices.plan_of(work, outage_id=outage_id)
    lines = await notices.lines(work, plan=plan)
    return schemas.NoticeProof(
        outage_id=outage_id, starts_at=plan.starts_at, temporary=plan.temporary,
        customers=[schemas.NoticeLine.model_validate(line, from_attributes=True) for line in lines],
    )  # fmt: skip


@router.get("/planned-outages/{outage_id}/call-list", summary="须电话告知名单 Whom somebody has to call")
@allow("account-manager", "service-desk", "planner", "team-leader")
async def call_list(work: Work, outage_id: OutageId) -> schemas.CallList:
    plan = await notices.plan_of(work, outage_id=outage_id)
    wanting = [line for line in await notices.lines(work, plan=plan) if line["standing"].value in ("unproven", "late")]
    calls = [
        schemas.Call(
            customer_id=line["customer_id"], name=line["name"], important=line["important"],
            required_by=line["required_by"], people=await queries.people_to_call(work, customer_id=line["customer_id"]),
        )
        for line in wanting
    ]  # fmt: skip
    for call in calls:
        await work.audit(action="call-list-read", object_type="outage", object_id=outage_id, owner_id=call.customer_id)
    return schemas.CallList(outage_id=outage_id, calls=sorted(calls, key=lambda c: (not c.important, c.customer_id)))


@router.post(
    "/planned-outages/{outage_id}/proofs",
    summary="登记电话或公告告知 Record a call or an announcement",
    status_code=204,
)
@allow("account-manager", "service-desk", "planner", "team-leader")
async def record_proof(work: Work, outage_id: OutageId, body: schemas.NewProof) -> None:
    level = Level.CALL_RECORDED if body.kind == "call" else Level.ANNOUNCED
    await notices.record(
        work, outage_id=outage_id, customer_id=body.customer_id, level=level, person_id=body.person_id, words=body.words
    )


@router.get("/webhooks", summary="回调地址列表 Webhook endpoints")
@allow("customer-administrator", "account-manager")
async def webhooks(work: Work) -> schemas.Webhooks:
    rows = await endpoints.listed(work)
    return schemas.Webhooks(items=[schemas.Webhook.model_validate(r, from_attributes=True) for r in rows])


@router.post("/webhooks", summary="添加回调地址 Add a webhook endpoint", status_code=201)
@allow("customer-administrator")
async def add_webhook(work: Work, body: schemas.NewWebhook) -> schemas.WebhookWithSecret:
    await queries.require_customer(work, customer_id=body.customer_id)
    row = await endpoints.add(work, **body.model_dump())
    return schemas.WebhookWithSecret.model_validate(row)


@router.post("/webhooks/{endpoint_id}/rotate", summary="更换签名密钥 Rotate the secret of an endpoint")
@allow("customer-administrator")
async def rotate_webhook(work: Work, endpoint_id: EndpointId) -> schemas.NewSecret:
    return schemas.NewSecret(secret=await endpoints.rotate(work, endpoint_id=endpoint_id))


@router.delete("/webhooks/{endpoint_id}", summary="删除回调地址 Remove a webhook endpoint", status_code=204)
@allow("customer-administrator")
async def remove_webhook(work: Work, endpoint_id: EndpointId) -> None:
    await endpoints.remove(work, endpoint_id=endpoint_id)


@router.get("/unread", summary="未读消息数 How many messages I have not opened")
@allow(*CUSTOMER, *STAFF)
async def unread(work: Work, after_days: Annotated[int, Query(ge=1, le=400)] = 90) -> schemas.Unread:
    return schemas.Unread(unread=await queries.unread(work, person_id=work.actor.person_id, days=after_days))


async def _audit(work: UnitOfWork, action: str, row: Row) -> None:
    await work.audit(
        action=action, object_type="delivery", object_id=str(row["delivery_id"]), owner_id=row["customer_id"]
    )


async def _mine(work: UnitOfWork, delivery_id: UUID) -> Row:
    """The caller's own message. Raises `NotFound`."""
    d = delivery.c
    query = select(delivery).where(
        d.delivery_id == delivery_id, d.person_id == work.actor.person_id, visible(d.customer_id, work=work)
    )
    rows = await rows_of(work, query.with_for_update())
    if not rows:
        raise NotFound(what_zh="消息", what_en="message", field="delivery_id")
    return rows[0]
