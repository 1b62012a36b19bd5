"""Routes of notify."""

from typing import Annotated
from uuid import UUID

from fastapi import Path, Query

from services.kernel.http import Work, allow, service_router
from services.notify import queries, schemas, tickets
from services.notify.directory.persons import bind_wechat

router = service_router("notify")
CUSTOMER = ("customer-contact", "customer-electrician", "customer-administrator")
STAFF = (
    "account-manager", "inspector", "team-leader", "department-head", "dispatcher", "planner", "crew-leader",
    "service-desk", "trainer", "analyst", "auditor", "security-administrator", "system-administrator",
)  # fmt: skip
WATCHERS = ("account-manager", "inspector", "team-leader", "department-head", "dispatcher", "planner", "service-desk",
            "auditor")  # fmt: skip
PersonId = Annotated[str, Path(max_length=64)]


@router.get("/inbox", summary="我的消息 My messages")
@allow(*CUSTOMER, *STAFF)
async def inbox(work: Work, limit: Annotated[int, Query(ge=1, le=200)] = 50) -> schemas.Inbox:
    return await queries.inbox(work, limit=limit)


@router.get("/deliveries", summary="何人何时收到何消息 Who was told what, when")
@allow(*WATCHERS)
async def deliveries(
    work: Work,
    subject_id: Annotated[str | None, Query(max_length=64)] = None,
    customer_id: Annotated[str | None, Query(max_length=64)] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> schemas.Deliveries:
    return await queries.deliveries(work, subject_id=subject_id, customer_id=customer_id, limit=limit)


@router.get("/persons/me", summary="我的信息 What is known of me")
@allow(*CUSTOMER, *STAFF)
async def me(work: Work) -> schemas.Me:
    return await queries.me(work)


@router.put("/persons/{person_id}/wechat", summary="绑定微信 Bind a WeChat identity", status_code=204)
@allow("account-manager", "data-publisher")
async def bind(work: Work, person_id: PersonId, body: schemas.WechatBinding) -> None:
    await queries.require_person(work, person_id=person_id)
    await bind_wechat(work, person_id=person_id, openid=body.openid)


@router.post("/tickets", summary="受理工单 Open a ticket", status_code=201)
@allow("service-desk")
async def open_ticket(work: Work, body: schemas.NewTicket) -> schemas.Ticket:
    return await tickets.open_ticket(work, body=body)


@router.post("/tickets/{ticket_id}/close", summary="办结工单 Close a ticket")
@allow("service-desk")
async def close_ticket(work: Work, ticket_id: UUID) -> schemas.Ticket:
    return await tickets.close_ticket(work, ticket_id=ticket_id)
