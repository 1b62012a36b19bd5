"""A customer disputes a score: kept, and told with its evidence to those who talk with the customer."""

from sqlalchemy import insert, select

from services.contracts.portrait import ScoreDisputed
from services.kernel.auth.grants import visible
from services.kernel.errors import InvalidInput
from services.kernel.work import UnitOfWork
from services.portrait import tables as t
from services.portrait.scoring import schemas
from services.portrait.scoring.dated_documents import scheme_named
from services.portrait.scoring.results import score_row
from services.portrait.scoring.tell import result_of, sentence, sub_scores


async def dispute_score(work: UnitOfWork, *, customer_id: str, month: str, body: schemas.NewDispute) -> schemas.Dispute:
    """Raises NotFound for a run that holds no such score, InvalidInput for an indicator it does not have."""
    row = await score_row(work, customer_id=customer_id, month=month, run_id=body.run_id)
    values, result = result_of(row, await scheme_named(work, version=row.scheme_version))
    if unknown := sorted(set(body.indicators) - set(values)):
        raise InvalidInput(
            zh=f"该评分没有指标 {unknown[0]}。", en=f"This score has no indicator {unknown[0]}.", field="indicators"
        )
    event = ScoreDisputed(
        customer_id=customer_id,
        dispute_id=str(work.new_id("dispute")),
        month=month,
        run_id=str(row.run_id),
        ground=body.ground,
        indicators=tuple(sorted(set(body.indicators))),
        score=row.score,
        band=row.band,
        not_scored_because=sentence(row.not_scored_because),
        sub_scores=sub_scores(values, result),
        scheme_version=row.scheme_version,
        disputed_by=work.actor.person_id,
        disputed_at=work.now,
    )
    evidence = event.model_dump(mode="json")
    await work.db.execute(
        insert(t.score_dispute).values(
            dispute_id=event.dispute_id, customer_id=customer_id, month=month, run_id=row.run_id, ground=body.ground,
            evidence=evidence, disputed_by=work.actor.person_id, disputed_at=work.now,
        )
    )  # fmt: skip
    await work.audit(
        action="score-disputed", object_type="score-dispute", object_id=event.dispute_id, owner_id=customer_id,
        after=evidence,
    )  # fmt: skip
    work.emit(event)
    return schemas.Dispute(
        dispute_id=event.dispute_id,
        month=month, run_id=row.run_id, ground=body.ground, disputed_by=work.actor.person_id, disputed_at=work.now,
        evidence=evidence,
    )  # fmt: skip


async def disputes_of(work: UnitOfWork, *, customer_id: str) -> list[schemas.Dispute]:
    d = t.score_dispute.c
    found = await work.db.execute(
        select(t.score_dispute)
        .where(d.customer_id == customer_id, visible(d.customer_id, work=work))
        .order_by(d.disputed_at.desc(), d.dispute_id)
        .limit(200)
    )
    names = schemas.Dispute.model_fields
    return [schemas.Dispute(**{name: getattr(row, name) for name in names}) for row in found]
