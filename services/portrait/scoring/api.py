"""HTTP of scoring: runs and their progress, results and why, shifts, disputes, dated documents, analysis."""

from dataclasses import asdict
from typing import Annotated, Literal, get_args
from uuid import UUID

from fastapi import Path, Query
from sqlalchemy import select

from services.contracts.marketing import CustomerRole
from services.kernel.http import Work, allow, service_router
from services.kernel.work import UnitOfWork
from services.portrait import queries
from services.portrait import tables as t
from services.portrait.customers.calendar import local_day, month_name, shifted
from services.portrait.schemas import RunRequested
from services.portrait.scoring import analysis, dated_documents, disputes, results, runs, schemas, shifts

router = service_router("portrait")
CustomerId = Annotated[str, Path(max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:\-]*$")]
MonthPath = Annotated[str, Path(pattern=r"^20\d{2}-(0[1-9]|1[0-2])$")]
MonthQuery = Annotated[str | None, Query(pattern=r"^20\d{2}-(0[1-9]|1[0-2])$")]
Kind = Literal["scheme", "prices"]
Version = Annotated[str, Path(max_length=20)]
_CUSTOMER_ROLES = get_args(CustomerRole)
_STAFF = ("account-manager", "department-head", "analyst")


@router.post("/scores/{month}", summary="发起月度评分 Ask for the scores of a month or several", status_code=202)
@allow("analyst", "department-head")
async def score_month(
    month: MonthPath, work: Work, from_month: MonthQuery = None, trial: Annotated[bool, Query()] = False
) -> RunRequested:
    """A trial is seen by its id alone and nobody is told of it."""
    run_id = await runs.request_run(work, month=month, from_month=from_month, trial=trial)
    return RunRequested(run_id=run_id, month=month)


@router.post(
    "/customers/{customer_id}/scores/{month}", summary="单户即时评分 Score one customer on demand", status_code=202
)
@allow(*_STAFF)
async def score_customer(customer_id: CustomerId, month: MonthPath, work: Work) -> RunRequested:
    await queries.profile_of(work, customer_id=customer_id)
    return RunRequested(run_id=await runs.request_run(work, month=month, customer_id=customer_id), month=month)


@router.get("/score-runs", summary="评分任务列表 Scoring runs, newest first")
@allow("analyst", "department-head")
async def score_runs(work: Work, limit: Annotated[int, Query(ge=1, le=100)] = 20) -> list[schemas.Run]:
    r = t.score_run.c
    found = await work.db.execute(
        select(r.run_id).where(runs.visible_runs(work)).order_by(r.requested_at.desc(), r.run_id).limit(limit)
    )
    return [await _run(work, run_id) for run_id in found.scalars()]


@router.get("/score-runs/{run_id}", summary="评分任务进度 Progress of a scoring run")
@allow(*_STAFF)
async def score_run(run_id: UUID, work: Work) -> schemas.Run:
    return await _run(work, run_id)


@router.get("/score-runs/{run_id}/scores", summary="某次任务的评分 Scores of one run, also an earlier one or a trial")
@allow(*_STAFF)
async def scores_of_run(
    run_id: UUID,
    work: Work,
    after: Annotated[str, Query(max_length=64)] = "",
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> list[schemas.ScoreOfRun]:
    await runs.run_named(work, run_id=run_id)
    return await results.scores_of_run(work, run_id=run_id, after=after, limit=limit)


@router.get("/customers/{customer_id}/scores/{month}", summary="评分说明 One score and what it is made of")
@allow(*_STAFF, *_CUSTOMER_ROLES)
async def explained_score(
    customer_id: CustomerId, month: MonthPath, work: Work, run_id: Annotated[UUID | None, Query()] = None
) -> schemas.ExplainedScore:
    await queries.profile_of(work, customer_id=customer_id)
    row = await results.score_row(work, customer_id=customer_id, month=month, run_id=run_id)
    await work.audit(action="score-read", object_type="customer", object_id=customer_id, owner_id=customer_id)
    return await results.explained(work, row=row)


@router.get("/customers/{customer_id}/shift", summary="班制与停产日 Shift pattern and shutdown days")
@allow(*_STAFF, *_CUSTOMER_ROLES)
async def shift(customer_id: CustomerId, work: Work, month: MonthQuery = None) -> schemas.ShiftSeen:
    await queries.profile_of(work, customer_id=customer_id)
    last = month_name(shifted(local_day(work.now), months=-1))
    return await shifts.shift_seen(work, customer_id=customer_id, month=month or last)


@router.post("/customers/{customer_id}/shift", summary="客户确认班制 The customer confirms its shift pattern")
@allow(*_CUSTOMER_ROLES)
async def confirm_shift(customer_id: CustomerId, body: schemas.ShiftConfirmed, work: Work) -> schemas.ShiftSeen:
    await queries.profile_of(work, customer_id=customer_id)
    await shifts.confirm_shift(work, customer_id=customer_id, body=body)
    return await shifts.shift_seen(work, customer_id=customer_id, month=body.from_month)


@router.post(
    "/customers/{customer_id}/scores/{month}/disputes", summary="对评分提出异议 Dispute a score", status_code=201
)
@allow(*_CUSTOMER_ROLES)
async def dispute(customer_id: CustomerId, month: MonthPath, body: schemas.NewDispute, work: Work) -> schemas.Dispute:
    await queries.profile_of(work, customer_id=customer_id)
    return await disputes.dispute_score(work, customer_id=customer_id, month=month, body=body)


@router.get("/customers/{customer_id}/disputes", summary="评分异议 Disputed scores")
@allow(*_STAFF, *_CUSTOMER_ROLES)
async def disputes_of(customer_id: CustomerId, work: Work) -> list[schemas.Dispute]:
    await queries.profile_of(work, customer_id=customer_id)
    return await disputes.disputes_of(work, customer_id=customer_id)


@router.get("/score-documents/{kind}", summary="评分方案与价格文件 Score schemes and price lists")
@allow("analyst", "department-head")
async def score_documents(kind: Kind, work: Work) -> list[schemas.Document]:
    names = set(schemas.Document.model_fields) - {"status"}
    return [
        schemas.Document(
            status="confirmed" if row.confirmed_by else "entered", **{name: getattr(row, name) for name in names}
        )
        for row in await dated_documents.documents(work, kind=kind)
    ]


@router.post("/score-documents/{kind}", summary="录入文件版本 Enter a version for a second person", status_code=201)
@allow("analyst", "department-head")
async def enter_document(kind: Kind, body: schemas.NewDocument, work: Work) -> dict[str, str]:
    await dated_documents.enter_document(
        work, kind=kind, version=body.version, scope=(body.scope_kind, body.scope_id), source=body.source,
        document=body.document,
    )  # fmt: skip
    return {"version": body.version, "status": "entered"}


@router.post("/score-documents/{kind}/{version}/confirm", summary="第二人确认 Confirm another's version")
@allow("department-head")
async def confirm_document(kind: Kind, version: Version, work: Work) -> dict[str, str]:
    await dated_documents.confirm_document(work, kind=kind, version=version)
    return {"version": version, "status": "confirmed"}


@router.post("/score-analysis/weights", summary="权重建议（仅分析）Weights proposed by AHP and entropy, for analysis")
@allow("analyst", "department-head")
async def propose_weights(body: schemas.WeightQuestion, work: Work) -> schemas.WeightProposal:
    return await analysis.weight_proposal(work, question=body)


async def _run(work: UnitOfWork, run_id: UUID) -> schemas.Run:
    row = await runs.run_named(work, run_id=run_id)
    phases = await runs.progress_of(work, run_id=run_id)
    chunks = sum(p.chunks for p in phases)
    names = set(schemas.Run.model_fields) - {"share_done", "phases"}
    return schemas.Run(
        **{name: getattr(row, name) for name in names},
        # Until it is cut into chunks the whole is not known.
        share_done=round(sum(p.done for p in phases) / chunks, 4) if len(phases) > 1 else 0.0,
        phases=[schemas.PhaseOfRun(**asdict(p)) for p in phases],
    )
