"""HTTP interface of inspection."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import Query, Request, Response
from sqlalchemy import Row

from services.contracts.envelope import Day
from services.contracts.inspection import HazardStatus
from services.inspection import queries, schemas
from services.inspection.actions import hazards as hazard_actions
from services.inspection.actions import plan, visits
from services.inspection.adapters.forms import parse_form
from services.inspection.adapters.photos import take_in
from services.inspection.rules.checklist import STEPS, checklist
from services.inspection.rules.hazard_state import allowed_steps
from services.kernel.errors import InvalidInput
from services.kernel.http import Work, allow, service_router

router = service_router("inspection")
_CUSTOMER = ("customer-contact", "customer-electrician", "customer-administrator")
_STAFF = ("inspector", "account-manager", "team-leader", "department-head")
_FORM: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["photo"],
                    "properties": {"photo": {"type": "string", "format": "binary"}, "note": {"type": "string"}},
                }
            }
        },
    }
}
Limit = Annotated[int, Query(ge=1, le=200)]


@router.get("/checklists", summary="三步检查项目 Checklist of the three steps")
@allow(*_STAFF, *_CUSTOMER)
async def checklists(work: Work) -> list[schemas.ChecklistItem]:
    return [schemas.ChecklistItem.model_validate(item) for item in checklist().values() if item.step in STEPS]


@router.get("/sites/due", summary="到期检查清单 Sites by due date")
@allow(*_STAFF)
async def due_sites(
    work: Work,
    until: Day | None = None,
    after: Annotated[str, Query(pattern=r"^$|^\d{4}-\d{2}-\d{2},[A-Za-z0-9_.:\-]{1,64}$")] = "",
    limit: Limit = 50,
) -> list[schemas.DueSite]:
    rows = await queries.due_sites(work, until=until, after=after, limit=limit)
    day = plan.today(work)
    return [schemas.DueSite(**row._mapping, overdue=row.due_on < day) for row in rows]


@router.post("/visits", summary="提交三步检查 Submit a three-step inspection", status_code=201)
@allow("inspector")
async def submit(body: schemas.InspectionIn, work: Work) -> schemas.Submitted:
    answers = [visits.Answer(**item.model_dump()) for item in body.items]
    result = await visits.submit_inspection(
        work, site_id=body.site_id, inspector_ids=body.inspector_ids, companion=body.companion, answers=answers
    )
    return schemas.Submitted.model_validate(result)


@router.get("/hazards", summary="隐患列表 Hazards")
@allow(*_STAFF, *_CUSTOMER)
async def hazards(
    work: Work, status: HazardStatus | None = None, after: UUID | None = None, limit: Limit = 50
) -> list[schemas.Hazard]:
    rows = await queries.hazards(work, status=status, after=str(after or ""), limit=limit)
    return [schemas.Hazard.model_validate(row) for row in rows]


@router.get("/hazards/{hazard_id}", summary="隐患详情 One hazard with its steps")
@allow(*_STAFF, *_CUSTOMER)
async def hazard(hazard_id: UUID, work: Work) -> schemas.HazardDetail:
    row, steps = await queries.one_hazard(work, hazard_id=str(hazard_id))
    return schemas.HazardDetail(
        **schemas.Hazard.model_validate(row).model_dump(),
        steps=[schemas.HazardStep.model_validate(step) for step in steps],
        possible_steps=list(allowed_steps(status=row.status, suspected=row.suspected)),
    )


def _shown(row: Row[Any]) -> schemas.Hazard:
    return schemas.Hazard.model_validate(row)


@router.post("/hazards/{hazard_id}/confirm", summary="确认疑似隐患 Confirm a suspected hazard")
@allow("inspector")
async def confirm(hazard_id: UUID, body: schemas.NoteIn, work: Work) -> schemas.Hazard:
    return _shown(await hazard_actions.take_step(work, hazard_id=str(hazard_id), step="confirm", note=body.note))


@router.post("/hazards/{hazard_id}/void", summary="作废隐患 Void a hazard")
@allow("inspector")
async def void(hazard_id: UUID, body: schemas.ReasonIn, work: Work) -> schemas.Hazard:
    return _shown(await hazard_actions.take_step(work, hazard_id=str(hazard_id), step="void", note=body.reason))


@router.post(
    "/hazards/{hazard_id}/rectify",
    summary="上传整改照片 Rectify with a photo",
    openapi_extra=_FORM,
    max_body_size=8_500_000,
)
@allow(*_CUSTOMER, "inspector")
async def rectify(hazard_id: UUID, request: Request, work: Work) -> schemas.Hazard:
    form = parse_form(await request.body(), content_type=request.headers.get("content-type", ""))
    if "photo" not in form:
        raise InvalidInput(
            zh="请上传整改照片（字段 photo）。", en="Send the evidence in the field photo.", field="photo"
        )
    note = schemas.NoteIn(note=form["note"].decode("utf-8", "replace")[:500]).note if "note" in form else None
    evidence = await take_in(form["photo"])
    return _shown(
        await hazard_actions.take_step(work, hazard_id=str(hazard_id), step="rectify", note=note, evidence=evidence)
    )


@router.post("/hazards/{hazard_id}/verify", summary="复验 Verify, by another inspector")
@allow("inspector")
async def verify(hazard_id: UUID, body: schemas.NoteIn, work: Work) -> schemas.Hazard:
    return _shown(await hazard_actions.take_step(work, hazard_id=str(hazard_id), step="verify", note=body.note))


@router.post("/hazards/{hazard_id}/close", summary="闭环 Close")
@allow("inspector", "team-leader")
async def close(hazard_id: UUID, body: schemas.NoteIn, work: Work) -> schemas.Hazard:
    return _shown(await hazard_actions.take_step(work, hazard_id=str(hazard_id), step="close", note=body.note))


@router.get("/hazards/{hazard_id}/photos/{photo_id}", summary="整改照片 A photo", response_class=Response)
@allow(*_STAFF, *_CUSTOMER)
async def photo(hazard_id: UUID, photo_id: UUID, work: Work) -> Response:
    jpeg = await queries.jpeg_of(work, hazard_id=str(hazard_id), photo_id=str(photo_id))
    headers = {
        "content-disposition": f'attachment; filename="{photo_id}.jpg"',
        "x-content-type-options": "nosniff",
    }
    return Response(jpeg, media_type="image/jpeg", headers=headers)
