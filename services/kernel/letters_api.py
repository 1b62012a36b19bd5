"""Dead letters over HTTP, the same for every service.

System administrators settle them and see where a record stood and why it was refused, but nothing of a customer: not
its key, its body, nor the words of the refusal, which may quote them. Security administrators see them.
"""

import base64
import hashlib
from collections.abc import Mapping
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from services.kernel.failures import list_dead_letters, replay_dead_letter, show_dead_letter, skip_dead_letter
from services.kernel.http import Work, allow, service_router


class Reason(BaseModel):
    model_config = ConfigDict(extra="forbid")
    reason: Annotated[str, Field(min_length=3, max_length=500)]


_OF_CUSTOMERS = ("record_key", "body", "headers", "detail")


def _masked(row: Mapping[str, Any]) -> dict[str, Any]:
    """Lengths and a digest in the place of what may name a customer: enough to tell equal records."""
    shown = {name: value for name, value in row.items() if name not in _OF_CUSTOMERS}
    for name in ("record_key", "body"):
        if isinstance(value := row.get(name), bytes):
            shown[f"{name}_bytes"], shown[f"{name}_sha256"] = len(value), hashlib.sha256(value).hexdigest()
    return shown


def letters_router(service: str) -> APIRouter:
    router = service_router(service)

    @router.get("/dead-letters", summary="死信列表 List dead letters")
    @allow("system-administrator")
    async def letters(
        work: Work,
        status: Annotated[str, Query(pattern="^(open|replayed|skipped)$")] = "open",
        limit: Annotated[int, Query(ge=1, le=200)] = 100,
    ) -> list[dict[str, Any]]:
        return [_masked(row) for row in await list_dead_letters(work, status=status, limit=limit)]

    @router.get("/dead-letters/{letter_id}", summary="查看死信 Show one dead letter")
    @allow("system-administrator", "security-administrator")
    async def letter(letter_id: UUID, work: Work) -> dict[str, Any]:
        row = await show_dead_letter(work, letter_id=letter_id)
        await work.audit(action="dead-letter-read", object_type="dead-letter", object_id=str(letter_id))
        if work.actor.role != "security-administrator":
            return _masked(row)
        return {k: base64.b64encode(v).decode() if isinstance(v, bytes) else v for k, v in row.items()}

    @router.post("/dead-letters/{letter_id}/replay", summary="重放死信 Replay a dead letter", status_code=202)
    @allow("system-administrator")
    async def replay(letter_id: UUID, body: Reason, work: Work) -> dict[str, str]:
        await replay_dead_letter(work, letter_id=letter_id, reason=body.reason)
        return {"status": "replayed"}

    @router.post("/dead-letters/{letter_id}/skip", summary="略过死信 Skip a dead letter")
    @allow("system-administrator")
    async def skip(letter_id: UUID, body: Reason, work: Work) -> dict[str, str]:
        await skip_dead_letter(work, letter_id=letter_id, reason=body.reason)
        return {"status": "skipped"}

    return router
