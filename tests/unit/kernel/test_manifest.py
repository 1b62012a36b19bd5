"""A manifest that promises what the code does not hold is refused at import, with a sentence that names the fault."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Column, String, Table

from services.contracts.envelope import Event, Id, Version
from services.kernel.broker import TopicSpec
from services.kernel.jobs import JobRun
from services.kernel.manifest import BrokenManifest, Consumes, ConsumesInBulk, Job, Service
from services.kernel.tables import open_schema
from services.kernel.work import UnitOfWork


class Stated(Event):
    TYPE, TOPIC, KEY, DELIVERY = "keyline.shop.stated.v1", "shop-states", "a_id", "state"
    a_id: Id
    version: Version


class Told(Event):
    TYPE, TOPIC, KEY = "keyline.shop.told.v1", "shop-news", "a_id"
    a_id: Id


class Foreign(Event):
    TYPE, TOPIC, KEY = "keyline.outside.foreign.v1", "outside", "a_id"
    a_id: Id


class Unversioned(Event):
    TYPE, TOPIC, KEY, DELIVERY = "keyline.outside.unversioned.v1", "outside", "a_id", "state"
    a_id: Id


class Mixed(Event):
    TYPE, TOPIC, KEY = "keyline.shop.mixed.v1", "shop-states", "a_id"
    a_id: Id


class OtherKind(Event):
    TYPE, TOPIC, KEY, DELIVERY = "keyline.shop.other-kind.v1", "shop-states", "b_id", "state"
    b_id: Id
    version: Version


async def on_foreign(event: Foreign, *, work: UnitOfWork) -> None:
    raise NotImplementedError


async def on_unversioned(event: Unversioned, *, work: UnitOfWork) -> None:
    raise NotImplementedError


async def without_work(event: Foreign) -> None:
    raise NotImplementedError


async def in_bulk(batch: Any, *, work: UnitOfWork) -> list[Any]:
    raise NotImplementedError


async def job(run: JobRun) -> None:
    raise NotImplementedError


metadata = open_schema("shop")
Table("thing", metadata, Column("thing_id", String(64), primary_key=True), Column("customer_id", String(64)))
STATES, NEWS = TopicSpec(name="shop-states", compacted=True), TopicSpec(name="shop-news")
WHOLE = Service(
    name="shop", title_zh="店", title_en="Shop", consumes=(Consumes(event=Foreign, handler=on_foreign),),
    publishes=(Stated, Told), topics=(STATES, NEWS), metadata=metadata, owned={"thing": "customer_id"},
    jobs=(Job(name="sweep", every=timedelta(seconds=1), run=job),),
)  # fmt: skip


def test_what_is_whole_is_accepted() -> None:
    assert replace(WHOLE, relays=()) == WHOLE


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda s: replace(s, publishes=(Stated, Told, Foreign)), "another producer owns it"),
        (lambda s: replace(s, publishes=(Stated,), relays=(Told,)), "it publishes, it does not relay"),
        (lambda s: replace(s, name="store"), "must carry the service's name"),
        (lambda s: replace(s, consumes=(Consumes(event=Foreign, handler=on_unversioned),)), "does not take Foreign"),
        (lambda s: replace(s, consumes=(Consumes(event=Foreign, handler=without_work),)), "unit of work"),
        (lambda s: replace(s, consumes=(Consumes(event=Unversioned, handler=on_unversioned),)), "without version"),
        (lambda s: replace(s, consumes=s.consumes * 2), "heard twice"),
        (lambda s: replace(s, publishes=(Stated, Told, Told)), "said twice"),
        (lambda s: replace(s, jobs=s.jobs * 2), "job twice"),
        (lambda s: replace(s, topics=(STATES, NEWS, NEWS)), "topic twice"),
        (lambda s: replace(s, topics=(STATES,)), "shop-news"),
        (lambda s: replace(s, topics=(STATES, NEWS, TopicSpec(name="shop-extra"))), "shop-extra"),
        (lambda s: replace(s, publishes=(Stated, Told, Mixed)), "keyline.shop.mixed.v1'] are no states"),
        (lambda s: replace(s, publishes=(Stated, Told, OtherKind)), "its own KEY_PREFIX"),
        (lambda s: replace(s, owned={"nothing": "customer_id"}), "no such tables"),
        (lambda s: replace(s, owned={"thing": "owner_id"}), "no such owner columns"),
        (lambda s: replace(s, api_hidden=frozenset({"nothing"})), "no such tables"),
        (
            lambda s: replace(s, bulk=(ConsumesInBulk(topic="elsewhere", events=(Stated,), handler=in_bulk),)),
            "do not travel on elsewhere",
        ),
        (
            lambda s: replace(s, bulk=(ConsumesInBulk(topic="outside", events=(Foreign,), handler=in_bulk),)),
            "heard twice",
        ),
    ],
)
def test_a_broken_promise_is_refused_and_named(change: Callable[[Service], Service], told: str) -> None:
    with pytest.raises(BrokenManifest, match=told.replace("[", r"\[").replace("]", r"\]").replace(".", r"\.")):
        change(WHOLE)
