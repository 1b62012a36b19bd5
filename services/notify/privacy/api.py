"""Routes for people about their own data: access, copy, correction, erasure (PIPL articles 44 to 50)."""

from typing import Annotated
from uuid import UUID

from fastapi import Path, Query

from services.kernel.http import Work, allow, service_router
from services.notify import queries
from services.notify.privacy import requests, schemas

router = service_router("notify")
CUSTOMER = ("customer-contact", "customer-electrician", "customer-administrator")
STAFF = (
    "account-manager", "inspector", "team-leader", "department-head", "dispatcher", "planner", "crew-leader",
    "service-desk", "trainer", "analyst", "auditor", "security-administrator", "system-administrator",
)  # fmt: skip
OFFICE = ("service-desk", "account-manager")
PersonId = Annotated[str, Path(max_length=64)]


@router.get("/persons/me/personal-data", summary="我的个人信息副本 A copy of all that is known of me")
@allow(*CUSTOMER, *STAFF)
async def my_copy(work: Work) -> schemas.PersonalCopy:
    return await requests.copy_of(work, person_id=work.actor.person_id)


@router.post(
    "/persons/me/privacy-requests", summary="申请更正或删除我的信息 Ask for correction or erasure", status_code=201
)
@allow(*CUSTOMER, *STAFF)
async def ask(work: Work, body: schemas.RequestIn) -> schemas.Request:
    return await requests.ask(work, person_id=work.actor.person_id, body=body)


@router.get("/persons/{person_id}/personal-data", summary="个人信息副本 A copy for a person who asked for it")
@allow(*OFFICE)
async def copy_for(work: Work, person_id: PersonId) -> schemas.PersonalCopy:
    await queries.require_person(work, person_id=person_id)
    return await requests.copy_of(work, person_id=person_id)


@router.post("/persons/{person_id}/privacy-requests", summary="代为申请 Ask in a person's name", status_code=201)
@allow(*OFFICE)
async def ask_for(work: Work, person_id: PersonId, body: schemas.RequestIn) -> schemas.Request:
    await queries.require_person(work, person_id=person_id)
    return await requests.ask(work, person_id=person_id, body=body)


@router.get("/privacy-requests", summary="待办的个人信息请求 Open requests about personal data")
@allow("security-administrator")
async def waiting(work: Work, limit: Annotated[int, Query(ge=1, le=200)] = 50) -> schemas.Requests:
    return await requests.open_requests(work, limit=limit)


@router.post("/privacy-requests/{request_id}/settle", summary="办结更正请求 A correction was made", status_code=204)
@allow("security-administrator")
async def settle(work: Work, request_id: UUID) -> None:
    await requests.settle(work, request_id=request_id)
