"""The table of contents of a service, executable. What is not in it does not run; what breaks a rule is refused."""

import inspect
import itertools
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Generic, NamedTuple, TypeVar

from fastapi import APIRouter
from sqlalchemy import MetaData, Table

from services.contracts.envelope import Event
from services.kernel.broker import Record, TopicSpec
from services.kernel.hot_reads import HotRead
from services.kernel.veil import Veil
from services.kernel.wire import Poison, Window
from services.kernel.work import Cause, UnitOfWork

Said = TypeVar("Said", bound=Event)
Handler = Callable[..., Awaitable[None]]
DeletionHandler = Callable[..., Awaitable[None]]


@dataclass(frozen=True, kw_only=True)
class Rejected:
    """A record of a batch that cannot be applied."""

    record: Record
    poison: Poison


class Heard(NamedTuple, Generic[Said]):
    """An event of several that are handled together, with what made it reach us: the cause of its effects."""

    event: Said
    cause: Cause


BulkHandler = Callable[..., Awaitable[Sequence[Rejected]]]


class BrokenManifest(ValueError):
    """Raised at import: a manifest promises what the code does not hold."""


@dataclass(frozen=True, kw_only=True)
class Consumes:
    """One event class and its handler `async def on_x(event: X, *, work: UnitOfWork)`, in its own transaction.

    `deletion` takes `(aggregate_id: str, *, work)` for null values of a compacted topic. `together` takes
    `(heard: Sequence[Heard[X]], *, work)` and has the same effect for several facts with different keys in one
    transaction; where it raises, each event goes to `handler` alone.
    """

    event: type[Event]
    handler: Handler
    together: Handler | None = None
    deletion: DeletionHandler | None = None
    window: Window = field(default_factory=Window)


@dataclass(frozen=True, kw_only=True)
class ConsumesInBulk:
    """A topic whose records are applied many per transaction: `async def f(batch: Sequence[Record], *, work)`.

    The handler must be idempotent by construction (no inbox row is written) and returns what it rejects.
    A batch that raises is bisected under savepoints until only the guilty record is rejected.
    `members` loops of one process share the partitions: while one waits for the database the other decodes.
    """

    topic: str
    events: tuple[type[Event], ...]
    handler: BulkHandler
    max_records: int = 20_000
    max_bytes: int = 4_000_000
    members: int = 2


@dataclass(frozen=True, kw_only=True)
class Job:
    """Work that time triggers: `async def f(run: JobRun)`; one replica at a time runs it, under a lease."""

    name: str
    every: timedelta
    run: Callable[..., Awaitable[None]]


@dataclass(frozen=True, kw_only=True)
class Service:
    """The face of one service: what it hears, says, stores and serves."""

    name: str
    title_zh: str
    title_en: str
    consumes: tuple[Consumes, ...] = ()
    bulk: tuple[ConsumesInBulk, ...] = ()
    publishes: tuple[type[Event], ...] = ()
    relays: tuple[type[Event], ...] = ()
    """Events of outside owners that this service's doors (HTTP, file) put on their topics."""
    topics: tuple[TopicSpec, ...] = ()
    metadata: MetaData
    owned: dict[str, str] = field(default_factory=dict)
    """Table name -> column that names the owner (customer): row-level security is forced on these."""
    api_hidden: frozenset[str] = frozenset()
    """Tables that the API's login may not touch at all."""
    api_withdraws_grants: bool = False
    """Whether a request may end somebody's access at once; giving any stays with the worker."""
    veil: Veil | None = None
    """Roles whose answers carry pseudonyms, on every route of the service."""
    routers: tuple[APIRouter, ...] = ()
    jobs: tuple[Job, ...] = ()
    migrations: str = ""
    """Folder of the alembic revisions; empty means `services/<name>/migrations`."""
    observe: Callable[..., Awaitable[None]] | None = None
    """Sets the service's own gauges: `async def f(connection, *, now)`, every two seconds, as the worker."""
    start: Callable[..., Any] | None = None
    """Optional async context manager `(context) -> ...` for long-lived helpers such as senders."""

    def __post_init__(self) -> None:
        if self.metadata.schema != self.name:
            raise BrokenManifest(f"{self.name}: the schema must carry the service's name")
        for event in self.publishes:
            if not event.TYPE.startswith(f"keyline.{self.name}."):
                raise BrokenManifest(f"{self.name} may not publish {event.TYPE}: another producer owns it")
        for event in self.relays:
            if event.TYPE.startswith(f"keyline.{self.name}."):
                raise BrokenManifest(f"{self.name} owns {event.TYPE}: it publishes, it does not relay")
        for consumed in self.consumes:
            self._check_handler(consumed)
        self._check_said_once()
        self._check_compacted()
        named = {t.name for t in self.topics}
        said = {e.TOPIC for e in (*self.publishes, *self.relays)}
        if named != said:
            raise BrokenManifest(f"{self.name}: topics without events or events without topic: {sorted(named ^ said)}")
        tables = {t.name: t for t in self.metadata.tables.values()}
        if unknown := (set(self.owned) | self.api_hidden) - set(tables):
            raise BrokenManifest(f"{self.name}: no such tables {sorted(unknown)}")
        if missing := sorted(f"{t}.{column}" for t, column in self.owned.items() if column not in tables[t].c):
            raise BrokenManifest(f"{self.name}: no such owner columns {missing}")

    def _check_handler(self, consumed: Consumes) -> None:
        parameters = list(inspect.signature(consumed.handler, eval_str=True).parameters.values())
        if not parameters or parameters[0].annotation is not consumed.event:
            raise BrokenManifest(f"{consumed.handler.__name__} does not take {consumed.event.__name__} first")
        if len(parameters) < 2 or parameters[1].annotation is not UnitOfWork:
            raise BrokenManifest(f"{consumed.handler.__name__} does not take the unit of work")
        if consumed.together is not None and consumed.event.DELIVERY != "fact":
            raise BrokenManifest(f"{consumed.event.__name__} is a state: its versions are compared one by one")
        if consumed.event.DELIVERY == "state" and "version" not in consumed.event.model_fields:
            raise BrokenManifest(f"{consumed.event.__name__} is a state without version")

    def _check_said_once(self) -> None:
        bulk = (event for b in self.bulk for event in b.events)
        lists: dict[str, list[str]] = {
            "heard": [event.TYPE for event in (*(c.event for c in self.consumes), *bulk)],
            "said": [event.TYPE for event in (*self.publishes, *self.relays)],
            "topic": [t.name for t in self.topics],
            "job": [j.name for j in self.jobs],
        }
        for what, names in lists.items():
            if twice := sorted(name for name, times in Counter(names).items() if times > 1):
                raise BrokenManifest(f"{self.name}: {what} twice: {twice}")
        for b in self.bulk:
            if strange := sorted(event.TYPE for event in b.events if b.topic != event.TOPIC):
                raise BrokenManifest(f"{self.name}: {strange} do not travel on {b.topic}")

    def _check_compacted(self) -> None:
        """Compaction keeps one record per key: all on the topic are states, and no two kinds can meet in a key."""
        for topic in (t.name for t in self.topics if t.compacted):
            said = [event for event in (*self.publishes, *self.relays) if topic == event.TOPIC]
            if facts := sorted(event.TYPE for event in said if event.DELIVERY != "state"):
                raise BrokenManifest(f"{self.name}: {topic} keeps the newest per key, but {facts} are no states")
            for one, other in itertools.permutations(said, 2):
                if other.KEY_PREFIX.startswith(one.KEY_PREFIX):
                    raise BrokenManifest(
                        f"{topic}: keys of {one.TYPE} and {other.TYPE} can meet; give each its own KEY_PREFIX"
                    )

    @property
    def single_topics(self) -> tuple[str, ...]:
        return tuple(sorted({c.event.TOPIC for c in self.consumes}))

    @property
    def hot_reads(self) -> tuple[HotRead, ...]:
        """Those of the routes, once each."""
        found = (getattr(route, "hot_read", None) for router in self.routers for route in router.routes)
        return tuple({read.name: read for read in found if read is not None}.values())

    @property
    def own_tables(self) -> list[Table]:
        kernel = set(vars(self.metadata.info["kernel"]).values())
        return [t for t in self.metadata.sorted_tables if t not in kernel]
