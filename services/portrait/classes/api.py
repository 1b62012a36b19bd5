"""HTTP of the classes: rules with two persons, reasons of a membership, target customers, analyses. All internal."""

from typing import Annotated

from fastapi import Path, Query

from services.kernel.http import Work, allow, service_router
from services.portrait import queries as customers
from services.portrait.classes import analyses, queries, rule_entry, schemas
from services.portrait.classes.in_force import rules_in_force
from services.portrait.customers.calendar import local_day

router = service_router("portrait")
CustomerId = Annotated[str, Path(max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:\-]*$")]
RunId = Annotated[str, Path(max_length=64, pattern=r"^[0-9a-f\-]{36}$")]
_READERS = ("account-manager", "department-head", "analyst", "auditor")
_ANALYSTS = ("analyst", "department-head")


@router.get("/class-rules", summary="四高分类规则 Class rules: in force, and all that were entered")
@allow(*_READERS)
async def rules(work: Work) -> schemas.RulesInForceSaid:
    return await queries.rules_said(work)


@router.post("/class-rules", summary="录入分类规则 Enter class rules, for another person to confirm", status_code=201)
@allow(*_ANALYSTS)
async def enter_rules(work: Work, body: schemas.ClassRulesDocument) -> schemas.RulesLine:
    version = await rule_entry.enter_document(work, document=body.model_dump(mode="json"))
    return schemas.RulesLine(
        version=version,
        effective_from=body.effective_from,
        note=body.note,
        entered_by=work.actor.person_id,
        entered_at=work.now,
        confirmed_by=None,
        confirmed_at=None,
    )


@router.post("/class-rules/{version}/confirmation", summary="确认分类规则 Confirm class rules", status_code=204)
@allow("department-head")
async def confirm_rules(work: Work, version: Annotated[str, Path(max_length=40)]) -> None:
    await rule_entry.confirm_document(work, version=version)


@router.get("/customers/{customer_id}/memberships", summary="分类变动及理由 Entries into classes and why")
@allow("account-manager", "department-head", "analyst")
async def memberships(
    customer_id: CustomerId, work: Work, limit: Annotated[int, Query(ge=1, le=200)] = 50
) -> list[schemas.MembershipChange]:
    await customers.profile_of(work, customer_id=customer_id)
    await work.audit(action="memberships-read", object_type="customer", object_id=customer_id, owner_id=customer_id)
    return await queries.membership_changes(work, customer_id=customer_id, limit=limit)


@router.get("/target-customers", summary="增值服务目标客户 Target customers, and who is vetoed")
@allow("account-manager", "department-head")
async def target_customers(work: Work) -> schemas.TargetList:
    found = await queries.target_list(work)
    await work.audit(
        action="target-list-read", object_type="population", object_id=found.rule_version, rows=len(found.listed)
    )
    return found


@router.post("/analyses/what-if", summary="假设分析 What if the thresholds were others", status_code=202)
@allow(*_ANALYSTS)
async def what_if(work: Work, body: schemas.OtherThresholds) -> schemas.AnalysisAsked:
    document = (await rules_in_force(work, day=local_day(work.now))).document
    changed = body.model_dump(exclude_none=True)
    other = {**document, "version": "what-if", "thresholds": {**document["thresholds"], **changed}}
    parameters = {"changed": changed, "document": other}
    return schemas.AnalysisAsked(run_id=await analyses.ask(work, kind="what-if", parameters=parameters))


@router.post("/analyses/segments", summary="客户聚类（仅供分析） Segments, as analysis only", status_code=202)
@allow(*_ANALYSTS)
async def segments(work: Work, body: schemas.SegmentsAsked) -> schemas.AnalysisAsked:
    return schemas.AnalysisAsked(run_id=await analyses.ask(work, kind="segments", parameters=body.model_dump()))


@router.get("/analyses/{run_id}", summary="分析结果 Result of an analysis")
@allow(*_ANALYSTS)
async def analysis(run_id: RunId, work: Work) -> schemas.AnalysisRun:
    return await queries.analysis_run(work, run_id=run_id)


@router.get("/analyses/{run_id}/lines", summary="分析涉及的客户 Customers of an analysis")
@allow(*_ANALYSTS)
async def analysis_lines(
    run_id: RunId,
    work: Work,
    after: Annotated[str, Query(max_length=64)] = "",
    limit: Annotated[int, Query(ge=1, le=200)] = 100,
) -> schemas.AnalysisLines:
    await queries.analysis_run(work, run_id=run_id)
    return await queries.analysis_lines(work, run_id=run_id, after=after, limit=limit)
