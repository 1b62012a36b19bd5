"""Class rules entered by one person and confirmed by another; what is confirmed is never changed again."""

from typing import Any

from sqlalchemy import insert, select, update

from services.kernel.errors import Conflict, InvalidInput, NotFound, SelfApproval
from services.kernel.work import UnitOfWork
from services.portrait import tables as t
from services.portrait.customers.calendar import local_day
from services.portrait.rules.attention import attention_rules_from
from services.portrait.rules.class_population import STANDARDISED
from services.portrait.rules.classes import class_rules_from


async def enter_document(work: UnitOfWork, *, document: dict[str, Any]) -> str:
    """Returns the version. Raises InvalidInput for a start in the past, Conflict for a version that is there."""
    rules = class_rules_from(document)
    attention_rules_from(document)
    if rules.effective_from <= local_day(work.now):
        raise InvalidInput(
            zh="effective_from 必须晚于今天：已生效月份的分类不得倒改。",
            en="effective_from must lie after today: classes already given are not changed backwards.",
            field="effective_from",
        )
    if unknown := set(document["targets"]["weights"]) - set(STANDARDISED):
        raise InvalidInput(
            zh=f"targets.weights 含未知指标 {sorted(unknown)}，可用：{', '.join(STANDARDISED)}。",
            en=f"targets.weights names unknown indicators {sorted(unknown)}; there are {', '.join(STANDARDISED)}.",
            field="targets.weights",
        )
    d = t.class_document
    if (await work.db.execute(select(d.c.version).where(d.c.version == rules.version))).first():
        raise Conflict(
            zh=f"版本 {rules.version} 已存在，请换用新的版本号。",
            en=f"The version {rules.version} exists; take another.",
            field="version",
        )
    await work.db.execute(
        insert(d).values(
            version=rules.version,
            effective_from=rules.effective_from,
            document=document,
            note=document["note"],
            entered_by=work.actor.person_id,
            entered_at=work.now,
        )
    )
    await work.audit(action="class-rules-entered", object_type="class-rules", object_id=rules.version, after=document)
    return rules.version


async def confirm_document(work: UnitOfWork, *, version: str) -> None:
    """Raises NotFound, SelfApproval for the person who entered it, Conflict when confirmed or begun already."""
    d = t.class_document
    row = (await work.db.execute(select(d).where(d.c.version == version).with_for_update())).first()
    if row is None:
        raise NotFound(what_zh="分类规则", what_en="class rules", field="version")
    if row.entered_by == work.actor.person_id:
        raise SelfApproval(
            zh="录入人不得自行确认，请由另一人确认。",
            en="Whoever entered the rules may not confirm them; another person does.",
            field="version",
        )
    if row.confirmed_at is not None:
        raise Conflict(zh="该版本已确认。", en="This version is confirmed already.", field="version")
    if row.effective_from <= local_day(work.now):
        raise Conflict(
            zh="该版本的生效日已过，请以新的生效日重新录入。",
            en="Its first day has passed unconfirmed; enter it anew with a later one.",
            field="effective_from",
        )
    await work.db.execute(
        update(d).where(d.c.version == version).values(confirmed_by=work.actor.person_id, confirmed_at=work.now)
    )
    await work.audit(action="class-rules-confirmed", object_type="class-rules", object_id=version)
