"""HTTP doors, for companies without Kafka producers: what enters goes to its topic and comes back as an event."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Self

from fastapi import APIRouter, Body
from pydantic import ValidationError

from services.contracts.envelope import Event
from services.kernel.errors import InvalidInput
from services.kernel.http import Work, allow, service_router
from services.kernel.work import UnitOfWork

MOST_EVENTS = 500
Contracts = dict[str, type[Event]]
"""Event type on the wire -> its contract."""


def door_router(*, service: str, events: tuple[type[Event], ...]) -> APIRouter:
    """`POST /<service>/v1/doors/<topic>` for every topic of `events`; bodies `[{"type": ..., "data": {...}}, ...]`."""
    router = service_router(service)
    by_topic: dict[str, Contracts] = {}
    for event in events:
        by_topic.setdefault(event.TOPIC, {})[event.TYPE] = event
    for topic, contracts in sorted(by_topic.items()):
        _add_door(router, topic=topic, contracts=contracts)
    return router


def _add_door(router: APIRouter, *, topic: str, contracts: Contracts) -> None:
    @router.post(
        f"/doors/{topic}", summary=f"接收 {topic} 事件 Take events of {topic}", status_code=202,
        max_body_size=5_000_000, name=f"door-{topic}",
    )  # fmt: skip
    @allow("data-publisher")
    async def door(
        work: Work, body: Annotated[list[dict[str, Any]], Body(min_length=1, max_length=MOST_EVENTS)]
    ) -> dict[str, int]:
        for position, item in enumerate(body):
            work.emit(event_of(item, place=Place.item(position), contracts=contracts))
        await note(work, topic=topic, count=len(body))
        return {"accepted": len(body)}


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where an event stands in what was handed in: `field` for programs, the sentences for people."""

    field: str
    zh: str
    en: str

    @classmethod
    def item(cls, position: int) -> Self:
        return cls(field=str(position), zh=f"第 {position + 1} 条", en=f"Item {position + 1}")

    @classmethod
    def line(cls, number: int) -> Self:
        return cls(field=f"line {number}", zh=f"第 {number} 行", en=f"Line {number}")


def event_of(item: Mapping[str, Any], *, place: Place, contracts: Contracts) -> Event:
    """Raises `InvalidInput` naming the place, the field and what is wrong with it."""
    contract = contract_of(item.get("type"), place=place, contracts=contracts)
    try:
        return contract.model_validate_json(json.dumps(item.get("data")))
    except ValidationError as error:
        raise broken(error, place=place, within="data") from error


def contract_of(type_: object, *, place: Place, contracts: Contracts) -> type[Event]:
    contract = contracts.get(str(type_))
    if contract is None:
        known = ", ".join(sorted(contracts))
        raise InvalidInput(
            zh=f"{place.zh}的 type 不属于该入口，可用：{known}",
            en=f"{place.en}: this door takes {known}",
            field=f"{place.field}.type",
        )
    return contract


def broken(error: ValidationError, *, place: Place, within: str) -> InvalidInput:
    first = error.errors(include_url=False, include_input=False)[0]
    field = ".".join([place.field, *filter(None, [within]), *map(str, first["loc"])])
    return InvalidInput(
        zh=f"{place.zh}：字段 {field} 不符合契约，请修正：{first['msg']}",
        en=f"{place.en}: {field} breaks its contract, correct it: {first['msg']}",
        field=field,
    )


async def note(work: UnitOfWork, *, topic: str, count: int) -> None:
    await work.audit(action="events-accepted", object_type="topic", object_id=topic, after={"count": count})
