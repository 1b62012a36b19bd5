"""Policies are entered by one person, confirmed by another, and in force from their day on; none is ever changed."""

from datetime import date
from typing import Any
from uuid import UUID

from pydantic import ValidationError
from sqlalchemy import insert, select, update

from services.kernel.clock import BUSINESS_ZONE
from services.kernel.errors import Conflict, InvalidInput, NotFound, SelfApproval
from services.kernel.work import UnitOfWork
from services.notify.policy.classes import every_class
from services.notify.policy.document import Policy
from services.notify.tables import policy_version


def read_policy(document: dict[str, Any]) -> Policy:
    """Raises `InvalidInput` naming the field, also for a class that is missing or that nothing ever becomes."""
    try:
        policy = Policy.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(map(str, first["loc"])) or "document"
        raise InvalidInput(
            zh=f"策略的 {field} 有误：{first['msg']}", en=f"{field}: {first['msg']}", field=field
        ) from error
    missing, unknown = every_class() - policy.classes.keys(), policy.classes.keys() - every_class()
    if missing or unknown:
        raise InvalidInput(
            zh=f"事件类别须齐全：缺少 {'、'.join(sorted(missing)) or '无'}；多余 {'、'.join(sorted(unknown)) or '无'}",
            en=f"every class needs its row: missing {sorted(missing)}, unknown {sorted(unknown)}", field="classes",
        )  # fmt: skip
    return policy


async def enter(work: UnitOfWork, *, document: dict[str, Any]) -> dict[str, Any]:
    policy = read_policy(document)
    row = {
        "version": work.new_id("policy"), "valid_from": policy.valid_from,
        "document": policy.model_dump(mode="json"), "entered_by": work.actor.person_id, "entered_at": work.now,
        "confirmed_by": None, "confirmed_at": None,
    }  # fmt: skip
    await work.db.execute(insert(policy_version).values(**row))
    await _audit(work, "policy-entered", row)
    return row


async def confirm(work: UnitOfWork, *, version: UUID) -> dict[str, Any]:
    """Raises `SelfApproval` for its author, `Conflict` when confirmed before or when its first day has passed."""
    query = select(policy_version).where(policy_version.c.version == version).with_for_update()
    row = (await work.db.execute(query)).mappings().first()
    if row is None:
        raise NotFound(what_zh="策略版本", what_en="policy version", field="version")
    if row["entered_by"] == work.actor.person_id:
        raise SelfApproval(
            zh="策略须由录入人以外的人员确认。", en="Somebody else than its author confirms a policy.",
            field="version",
        )  # fmt: skip
    if row["confirmed_at"] is not None:
        raise Conflict(zh="该版本已确认。", en="This version is confirmed already.", field="version")
    if row["valid_from"] < today(work):
        raise Conflict(
            zh="生效日期已过，不能追溯生效；请以新的日期重新录入。",
            en="Its first day has passed and what was planned stays; enter it anew with a later day.",
            field="valid_from",
        )  # fmt: skip
    confirmed = {"confirmed_by": work.actor.person_id, "confirmed_at": work.now}
    await work.db.execute(
        update(policy_version).where(policy_version.c.version == version).values(**confirmed)
    )  # fmt: skip
    await _audit(work, "policy-confirmed", {**row, **confirmed})
    return {**row, **confirmed}


async def listed(work: UnitOfWork) -> list[dict[str, Any]]:
    query = select(policy_version).order_by(policy_version.c.valid_from.desc(), policy_version.c.entered_at.desc())
    return [dict(r) for r in (await work.db.execute(query.limit(200))).mappings()]


def today(work: UnitOfWork) -> date:
    return work.now.astimezone(BUSINESS_ZONE).date()


async def _audit(work: UnitOfWork, action: str, row: dict[str, Any]) -> None:
    await work.audit(action=action, object_type="policy", object_id=str(row["version"]), after=row)
