"""Routes of the directory: colleagues, addresses, organisation, absence, duty, who answers for whom."""

from datetime import datetime, time, timedelta
from typing import Annotated
from uuid import UUID

from fastapi import Path, Query, Response

from services.contracts.envelope import Day
from services.kernel.clock import BUSINESS_ZONE
from services.kernel.http import Work, allow, service_router
from services.notify import queries
from services.notify.directory import (
    absence,
    colleagues,
    confirmation,
    corrections,
    ownership,
    reachability,
    reads,
    schemas,
    tasks,
)
from services.notify.directory.own_contacts import say_for, say_own
from services.notify.directory.working_time import is_working_day
from services.notify.policy.store import policy_in_force

router = service_router("notify")
ADMINISTRATOR = "customer-administrator"
CUSTOMER = ("customer-contact", "customer-electrician", ADMINISTRATOR)
LEADERS = ("team-leader", "department-head", "system-administrator")
STAFF = (
    "account-manager", "inspector", "team-leader", "department-head", "dispatcher", "planner", "crew-leader",
    "service-desk", "trainer", "system-administrator",
)  # fmt: skip
MANAGERS = ("account-manager", "team-leader", "department-head", "service-desk")
CustomerId = Annotated[str, Path(max_length=64)]
PersonId = Annotated[str, Path(max_length=64)]
PostId = Annotated[str, Path(max_length=64)]


@router.get("/directory/customers/{customer_id}/people", summary="客户的人员与联系方式 A customer's people")
@allow(ADMINISTRATOR, *MANAGERS)
async def people(work: Work, customer_id: CustomerId) -> schemas.People:
    await queries.require_customer(work, customer_id=customer_id)
    found = await reachability.people_of(work, customer_id=customer_id)
    await work.audit(action="people-read", object_type="customer", object_id=customer_id, owner_id=customer_id)
    return schemas.People.model_validate({"items": found})


@router.post("/directory/customers/{customer_id}/colleagues", summary="添加同事 Add a colleague", status_code=201)
@allow(ADMINISTRATOR)
async def add_colleague(work: Work, customer_id: CustomerId, body: schemas.NewColleague) -> schemas.Colleague:
    await queries.require_customer(work, customer_id=customer_id)
    row = await colleagues.add(work, customer_id=customer_id, **body.model_dump())
    return schemas.Colleague.model_validate(row)


@router.post(
    "/directory/customers/{customer_id}/colleagues/{person_id}/end", summary="停用同事 End a colleague", status_code=204
)
@allow(ADMINISTRATOR)
async def end_colleague(work: Work, customer_id: CustomerId, person_id: PersonId) -> None:
    await queries.require_customer(work, customer_id=customer_id)
    await colleagues.end(work, customer_id=customer_id, person_id=person_id)


@router.put("/persons/me/contacts", summary="更正我的联系方式 Correct my own address", status_code=204)
@allow(*CUSTOMER, *STAFF)
async def own_contact(work: Work, body: schemas.NewContact) -> None:
    await say_own(work, kind=body.kind, value=body.value)


@router.post("/persons/me/contacts/confirm", summary="一键确认我的联系方式 Confirm my addresses with one tap")
@allow(*CUSTOMER, *STAFF)
async def confirm_own(work: Work) -> schemas.Confirmed:
    return schemas.Confirmed(addresses=await confirmation.confirm(work, person_id=work.actor.person_id))


@router.put("/persons/{person_id}/contacts", summary="更正联系方式 Correct a person's address", status_code=204)
@allow("account-manager", "service-desk")
async def correct_contact(work: Work, person_id: PersonId, body: schemas.NewContact) -> None:
    await queries.require_person(work, person_id=person_id)
    await say_for(work, person_id=person_id, kind=body.kind, value=body.value)


@router.get("/directory/contacts/conflicts", summary="与档案不一致的联系方式 Addresses that differ from the archive")
@allow(*MANAGERS, "data-publisher")
async def differing(work: Work) -> schemas.Differences:
    return schemas.Differences.model_validate({"items": await corrections.conflicts(work)})


@router.get(
    "/directory/contacts/changes.csv", summary="档案更正清单（CSV） Corrections for the archive, as CSV",
    response_class=Response, responses={200: {"content": {"text/csv": {}}}},
)  # fmt: skip
@allow("department-head", "data-publisher")
async def changes(work: Work) -> Response:
    listed = await corrections.change_list(work)
    disposition = {"Content-Disposition": 'attachment; filename="contact-changes.csv"'}
    return Response(listed, media_type="text/csv; charset=utf-8", headers=disposition)


@router.post("/directory/contacts/accept-archive", summary="以档案为准 The archive is right", status_code=204)
@allow(*MANAGERS)
async def accept_archive(work: Work, body: schemas.AcceptedArchive) -> None:
    await corrections.accept_archive(work, person_id=body.person_id, kind=body.kind)


@router.get("/directory/confirmations/due", summary="待确认联系方式的人员 People whose addresses are to be confirmed")
@allow(*MANAGERS)
async def confirmations_due(work: Work, limit: Annotated[int, Query(ge=1, le=500)] = 100) -> schemas.DueList:
    months = (await policy_in_force(work)).policy.confirm_contacts_after_months
    return schemas.DueList.model_validate({"items": await confirmation.due(work, after_months=months, limit=limit)})


@router.get("/directory/organisation", summary="组织、岗位与在岗人员 Units, posts and who holds them")
@allow(*STAFF, "auditor", "security-administrator", "data-publisher")
async def organisation(work: Work) -> schemas.OrganisationView:
    return await reads.organisation(work)


@router.post("/directory/leaves", summary="登记下属休假 Enter somebody's leave", status_code=201)
@allow(*LEADERS)
async def enter_leave(work: Work, body: schemas.NewLeave) -> schemas.LeaveEntry:
    return reads.leave_entry(await absence.take_leave(work, **body.model_dump()))


@router.post("/directory/leaves/mine", summary="登记本人休假 Enter my own leave", status_code=201)
@allow(*STAFF)
async def enter_own_leave(work: Work, body: schemas.OwnLeave) -> schemas.LeaveEntry:
    row = await absence.take_leave(work, person_id=work.actor.person_id, **body.model_dump())
    return reads.leave_entry(row)


@router.delete("/directory/leaves/{leave_id}", summary="取消休假 Cancel a leave", status_code=204)
@allow(*LEADERS)
async def cancel_leave(work: Work, leave_id: Annotated[str, Path(max_length=64)]) -> None:
    await absence.cancel_leave(work, leave_id=leave_id, own_only=False)


@router.delete("/directory/leaves/mine/{leave_id}", summary="取消本人休假 Cancel my leave", status_code=204)
@allow(*STAFF)
async def cancel_own_leave(work: Work, leave_id: Annotated[str, Path(max_length=64)]) -> None:
    await absence.cancel_leave(work, leave_id=leave_id, own_only=True)


@router.put("/directory/posts/{post_id}/deputies", summary="指定 B 角 Name the deputies of a post", status_code=204)
@allow(*LEADERS)
async def deputies(work: Work, post_id: PostId, body: schemas.Deputies) -> None:
    await absence.name_deputies(work, post_id=post_id, person_ids=body.person_ids)


@router.post("/directory/posts/{post_id}/handover", summary="岗位交接 Hand a post over", status_code=201)
@allow(*LEADERS)
async def handover(work: Work, post_id: PostId, body: schemas.NewHandover) -> schemas.HandoverEntry:
    row = await absence.hand_over(work, post_id=post_id, **body.model_dump())
    return schemas.HandoverEntry(**{name: row[name] for name in schemas.HandoverEntry.model_fields})


@router.post("/directory/duty", summary="排班 Put somebody on duty", status_code=201)
@allow(*LEADERS)
async def put_on_duty(work: Work, body: schemas.NewDuty) -> schemas.DutyEntry:
    return reads.duty_entry(await absence.put_on_duty(work, **body.model_dump()))


@router.delete("/directory/duty/{duty_id}", summary="撤销排班 Take somebody off duty", status_code=204)
@allow(*LEADERS)
async def take_off_duty(work: Work, duty_id: UUID) -> None:
    await absence.take_off_duty(work, duty_id=duty_id)


@router.get("/directory/duty", summary="值班表 Who is on duty on a day")
@allow(*STAFF, "auditor")
async def on_duty(
    work: Work, day: Day, unit_id: Annotated[str | None, Query(max_length=64)] = None
) -> schemas.DutyList:
    begins = datetime.combine(day, time(), tzinfo=BUSINESS_ZONE)
    items = await reads.duties(work, unit_id=unit_id, begins=begins, ends=begins + timedelta(days=1))
    return schemas.DutyList(working_day=is_working_day(day), items=items)


@router.get("/directory/ownership", summary="一户一岗一责 Who answers for which customer, and who has nobody")
@allow(*MANAGERS, "auditor")
async def owners(
    work: Work, finding: Annotated[str | None, Query(pattern="^(nobody|away|several|any)$")] = None,
    customer_id: Annotated[str | None, Query(max_length=64)] = None,
) -> schemas.Ownership:  # fmt: skip
    found = [
        o for o in await ownership.owned(work, customer_id=customer_id)
        if finding is None or o.finding == finding or (finding == "any" and o.finding is not None)
    ]  # fmt: skip
    return schemas.Ownership.model_validate({"items": [reads.owned_customer(o) for o in found]})


@router.get("/work/pending", summary="我的待办（含代理） My pending work, also in others' places")
@allow(*(role for role in STAFF if role != "system-administrator"))
async def pending_work(work: Work, limit: Annotated[int, Query(ge=1, le=500)] = 100) -> schemas.PendingWork:
    return schemas.PendingWork.model_validate({"items": await tasks.pending(work, limit=limit)})
