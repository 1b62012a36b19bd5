"""HTTP doors, for companies without Kafka producers: what enters goes to its topic and comes back as an event."""

import json
from typing import Annotated, Any

from fastapi import APIRouter, Body
from pydantic import ValidationError

from services.contracts.envelope import Event
from services.kernel.errors import InvalidInput
from services.kernel.http import Work, allow, service_router
from services.kernel.work import UnitOfWork

MOST_EVENTS = 500


def door_router(*, service: str, events: tuple[type[Event], ...]) -> APIRouter:
    """`POST /<service>/v1/doors/<topic>` for every topic of `events`; bodies `[{"type": ..., "data": {...}}, ...]`."""
    router = service_router(service)
    by_topic: dict[str, dict[str, type[Event]]] = {}
    for event in events:
        by_topic.setdefault(event.TOPIC, {})[event.TYPE] = event
    for topic, contracts in sorted(by_topic.items()):
        _add_door(router, topic=topic, contracts=contracts)
    return router


def _add_door(router: APIRouter, *, topic: str, contracts: dict[str, type[Event]]) -> None:
    @router.post(
        f"/doors/{topic}", summary=f"接收 {topic} 事件 Take events of {topic}", status_code=202,
        max_body_size=5_000_000, name=f"door-{topic}",
    )  # fmt: skip
    @allow("data-publisher")
    async def door(
        work: Work, body: Annotated[list[dict[str, Any]], Body(min_length=1, max_length=MOST_EVENTS)]
    ) -> dict[str, int]:
        for position, item in enumerate(body):
            work.emit(_event_of(item, position, contracts))
        await _note(work, topic, len(body))
        return {"accepted": len(body)}


def _event_of(item: dict[str, Any], position: int, contracts: dict[str, type[Event]]) -> Event:
    contract = contracts.get(str(item.get("type")))
    if contract is None:
        known = ", ".join(sorted(contracts))
        raise InvalidInput(
            zh=f"第 {position + 1} 条的 type 不属于该入口，可用：{known}",
            en=f"Item {position + 1}: this door takes {known}",
            field=f"{position}.type",
        )
    try:
        return contract.model_validate_json(json.dumps(item.get("data")))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = f"{position}.data.{'.'.join(map(str, first['loc']))}"
        raise InvalidInput(
            zh=f"字段 {field} 不符合契约：{first['msg']}",
            en=f"{field} breaks its contract: {first['msg']}",
            field=field,
        ) from error


async def _note(work: UnitOfWork, topic: str, count: int) -> None:
    await work.audit(action="events-accepted", object_type="topic", object_id=topic, after={"count": count})
