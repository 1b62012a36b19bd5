"""Routes of conversations: staff read, answer, hand over and close; the customer's people ask, read and rate."""

import asyncio
from typing import Annotated
from uuid import UUID

from fastapi import Query, Request, Response

from services.kernel.errors import InvalidInput
from services.kernel.http import Work, allow, service_router
from services.notify import queries as directory
from services.notify.adapters.wechat.media import Media, MediaRefused
from services.notify.conversation import queries, schemas, threads
from services.notify.wechat.media import cleaned

router = service_router("notify")
CUSTOMER = ("customer-contact", "customer-electrician", "customer-administrator")
ANSWERING = ("account-manager", "team-leader", "service-desk")
State = Annotated[schemas.State | None, Query()]
Limit = Annotated[int, Query(ge=1, le=200)]
_JPEG = {
    "requestBody": {"required": True, "content": {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}}}
}  # fmt: skip


@router.get("/conversations", summary="客户会话 Conversations with customers")
@allow(*ANSWERING, "department-head")
async def listed(work: Work, state: State = None, waiting: bool = False, limit: Limit = 50) -> schemas.ThreadsOfStaff:
    return schemas.ThreadsOfStaff(items=await queries.threads(work, state=state, waiting=waiting, limit=limit))


@router.get("/conversations/{conversation_id}", summary="会话全文与可回复条数 A conversation and what may be sent")
@allow(*ANSWERING)
async def read(work: Work, conversation_id: UUID) -> schemas.ReadByStaff:
    return await queries.read(work, conversation_id=conversation_id)


@router.post("/conversations/{conversation_id}/answers", summary="答复客户 Answer a customer", status_code=201)
@allow(*ANSWERING)
async def answer(work: Work, conversation_id: UUID, body: schemas.WordsIn) -> schemas.WrittenAnswer:
    said = await threads.answer(work, conversation_id=conversation_id, said=body.text)
    return schemas.WrittenAnswer(message_id=said)


@router.post(
    "/conversations/{conversation_id}/handover", summary="转交会话，时限不变 Hand over, keeping the clock",
    status_code=204,
)  # fmt: skip
@allow(*ANSWERING)
async def hand_over(work: Work, conversation_id: UUID, body: schemas.HandOverIn) -> None:
    await threads.hand_over(work, conversation_id=conversation_id, to_person_id=body.to_person_id)


@router.post("/conversations/{conversation_id}/close", summary="办结会话 Close a conversation", status_code=204)
@allow(*ANSWERING)
async def close(work: Work, conversation_id: UUID) -> None:
    await threads.close(work, conversation_id=conversation_id)


@router.post("/conversations/{conversation_id}/ticket", summary="转为工单 Make it a ticket", status_code=201)
@allow(*ANSWERING, *CUSTOMER)
async def ticket(work: Work, conversation_id: UUID) -> schemas.OpenedTicket:
    return schemas.OpenedTicket(ticket_id=await threads.ask_for_ticket(work, conversation_id=conversation_id))


@router.get(
    "/conversations/{conversation_id}/messages/{message_id}/photo", summary="会话照片 A photo of a conversation",
    response_class=Response,
)  # fmt: skip
@allow(*ANSWERING, *CUSTOMER)
async def photo(work: Work, conversation_id: UUID, message_id: UUID) -> Response:
    jpeg = await queries.photo(work, conversation_id=conversation_id, message_id=message_id)
    headers = {"Cache-Control": "private, no-store", "X-Content-Type-Options": "nosniff"}
    return Response(jpeg, media_type="image/jpeg", headers=headers)


@router.post("/own-conversations", summary="咨询客户经理 Ask my account manager", status_code=201)
@allow(*CUSTOMER)
async def ask(work: Work, body: schemas.QuestionIn) -> schemas.Receipt:
    await directory.require_customer(work, customer_id=body.customer_id)
    heard = await threads.hear(
        work, customer_id=body.customer_id, topic=body.topic, person_id=work.actor.person_id, channel="app",
        said=body.text,
    )  # fmt: skip
    return _receipt(heard)


@router.get("/own-conversations", summary="我的咨询 My conversations")
@allow(*CUSTOMER)
async def own(work: Work, state: State = None, limit: Limit = 50) -> schemas.Threads:
    return schemas.Threads(items=await queries.own_threads(work, state=state, limit=limit))


@router.get("/own-conversations/{conversation_id}", summary="我的咨询全文 One of my conversations")
@allow(*CUSTOMER)
async def own_read(work: Work, conversation_id: UUID) -> schemas.Read:
    return await queries.own_read(work, conversation_id=conversation_id)


@router.post("/own-conversations/{conversation_id}/messages", summary="继续咨询 Say more", status_code=201)
@allow(*CUSTOMER)
async def say(work: Work, conversation_id: UUID, body: schemas.WordsIn) -> schemas.Receipt:
    row = await threads.locked(work, conversation_id=conversation_id)
    heard = await threads.hear(
        work, customer_id=row.customer_id, topic=row.topic, person_id=work.actor.person_id, channel="app",
        said=body.text,
    )  # fmt: skip
    return _receipt(heard)


@router.post(
    "/own-conversations/{conversation_id}/photos", summary="发送照片（JPEG 或 PNG） Send a photo", status_code=201,
    openapi_extra=_JPEG, max_body_size=8_500_000,
)  # fmt: skip
@allow(*CUSTOMER)
async def show(request: Request, work: Work, conversation_id: UUID) -> schemas.Receipt:
    row = await threads.locked(work, conversation_id=conversation_id)
    heard = await threads.hear(
        work, customer_id=row.customer_id, topic=row.topic, person_id=work.actor.person_id, channel="app",
        kind="photo", picture=await _picture(await request.body()),
    )  # fmt: skip
    return _receipt(heard)


@router.post("/own-conversations/{conversation_id}/rating", summary="评价 Say whether it is solved", status_code=204)
@allow(*CUSTOMER)
async def rate(work: Work, conversation_id: UUID, body: schemas.RatingIn) -> None:
    await threads.rate(work, conversation_id=conversation_id, satisfied=body.satisfied)


async def _picture(body: bytes) -> bytes:
    """Decoded whole and written anew, outside the event loop."""
    try:
        return (await asyncio.to_thread(cleaned, Media("image/jpeg", body))).content
    except MediaRefused as refused:
        raise InvalidInput(
            zh="不是完整的 JPEG 或 PNG 图片，或超过 2500 万像素。",
            en="Not a whole JPEG or PNG picture, or over 25 megapixels.", field="photo",
        ) from refused  # fmt: skip


def _receipt(heard: threads.Heard) -> schemas.Receipt:
    return schemas.Receipt(
        conversation_id=heard.conversation_id, message_id=heard.message_id, manager=heard.manager,
        promised_at=heard.due_at,
    )  # fmt: skip
