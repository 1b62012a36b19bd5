"""Routes that are answered from a hot read: before the framework where the request is plain, inside it where it is not.

Both ways ask the same reader and call the same endpoint; what is refused is refused alike.
"""

import re
import time
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace
from typing import Annotated, Any, get_type_hints
from uuid import uuid4

import asyncpg
from fastapi import Depends, Request, Response
from pydantic import BaseModel, TypeAdapter, ValidationError

from services.kernel import metrics
from services.kernel.auth import grants
from services.kernel.auth.tokens import Claims, Verifier
from services.kernel.errors import NotFound, NotText, Problem, problem_of, problem_response
from services.kernel.hot_batches import Answer, Asked, Batches
from services.kernel.hot_reads import HotRead, call_of
from services.kernel.house_headers import HOUSE_HEADERS, traceparent
from services.kernel.veil import Veiling
from services.kernel.work import NOTHING, Actor, Cause, Database, UnitOfWork

Inner = Callable[[Request], Awaitable[Response]]


class NoHotRoute(ValueError):
    """Raised at start: the route cannot be answered from a hot read."""


@dataclass(frozen=True, kw_only=True)
class HotRow:
    """What was found for the caller, by column name. `memory` lasts as long as the process: for what never changes."""

    role: str
    row: Any
    more: Any | None
    memory: dict[Any, Any]
    work: Callable[[], AbstractAsyncContextManager[UnitOfWork]]
    """A transaction of its own that sees no owner's rows, for what is looked up once."""


def _found(request: Request) -> HotRow | None:
    found: HotRow | None = request.state.found
    return found


Found = Annotated[HotRow, Depends(_found)]
"""What endpoints of hot reads take as a parameter `found`, besides the owner."""


class HotReader:
    """Answers one route, a GET whose path ends in the owner. `process` is what its metrics are told under."""

    def __init__(
        self, *, read: HotRead, path: str, roles: frozenset[str], endpoint: Callable[..., Any], database: Database,
        verifier: Verifier, veiling: Veiling | None, process: str,
    ) -> None:  # fmt: skip
        shape = re.fullmatch(r"(/[^{}]*/)\{(\w+)\}", path)
        if shape is None:
            raise NoHotRoute(f"{path}: a hot read ends in its owner, the only parameter of the path")
        self.path = path
        self.prefix, self.parameter = shape[1], shape[2]
        self._read = read
        self._endpoint = endpoint
        self._database = database
        self._verifier = verifier
        self._veiling = veiling
        self._veiled_roles = veiling.veil.roles if veiling is not None else frozenset()
        self._looks_like: TypeAdapter[str] = TypeAdapter(get_type_hints(endpoint, include_extras=True)[self.parameter])
        self._row_end = 2 + len(read.row_names)
        self._memory: dict[Any, Any] = {}
        self._process = process
        self._seconds: dict[int, Any] = {}
        self._batches = Batches(
            dsn=partial(database.dsn, "api"),
            name=f"keyline-{database.service}-api-hot",
            call=call_of(database.service, read),
            roles=roles,
            last_resort=self._veiled_roles,
            clock=database.clock.now,
            checked=grants.application_checks,
        )

    async def close(self) -> None:
        await self._batches.close()

    def took(self, seconds: float, *, status: int) -> None:
        if status not in self._seconds:
            self._seconds[status] = metrics.HTTP_SECONDS.labels(self._process, "GET", self.path, str(status))
        self._seconds[status].observe(seconds)

    def owner_of(self, text: str | None) -> str | None:
        """None for what no owner is called."""
        try:
            return self._looks_like.validate_python(text)
        except ValidationError:
            return None

    async def before_the_framework(self, scope: MutableMapping[str, Any], *, owner: str) -> bytes:
        """The body of the answer. Raises what is refused."""
        given = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
        claims = await self._verifier.verify(given.decode("latin-1"))
        asked, answer, cause = await self._ask(claims, text=owner, owner=owner, scope=scope)
        owner = self._found_owner(asked, answer) or owner
        said = await self._endpoint(**{self.parameter: owner, "found": self._row(answer, claims, cause)})
        assert isinstance(said, BaseModel), "a hot read is answered by a model"
        body = said.__pydantic_serializer__.to_json(said)
        if self._veiling is not None and answer[1] in self._veiled_roles:
            return bytes(self._veiling.close(Response(body, media_type="application/json")).body)
        return body

    async def inside_the_framework(self, request: Request, inner: Inner) -> Response:
        """The same for `KeylineRoute`; what no owner is called is left to the framework, which names the rule."""
        claims = await self._verifier.verify(request.headers.get("authorization", ""))
        text = str(request.scope["path_params"][self.parameter])
        asked, answer, cause = await self._ask(claims, text=text, owner=self.owner_of(text), scope=request.scope)
        owner = self._found_owner(asked, answer)
        request.state.found = self._row(answer, claims, cause) if owner is not None else None
        if self._veiling is not None and answer[1] in self._veiled_roles:
            inner = self._veiling.around(inner)
        return await inner(request)

    async def _ask(
        self, claims: Claims, *, text: str, owner: str | None, scope: MutableMapping[str, Any]
    ) -> tuple[Asked, Answer, Cause]:
        cause = Cause(
            id=f"{claims.person_id}|GET {scope['path']}|{uuid4()}",
            source="http",
            type=f"GET {self.path}",
            traceparent=scope.get("traceparent", ""),
        )
        opened = self._veiling.opened(self.parameter, text) if self._veiling is not None else None
        unveiled = self.owner_of(opened) if opened is not None else None
        noted = f"{cause.source}/{cause.id}"[:160] if owner is not None or unveiled is not None else ""
        asked = Asked(person=claims.person_id, owner=owner, unveiled=unveiled, cause=noted)
        if not _can_be_stored(asked.person + asked.cause):
            raise NotText
        try:
            return asked, await self._batches.ask(asked), cause
        except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise problem_of(error) from error

    def _found_owner(self, asked: Asked, answer: Answer) -> str | None:
        """None where the caller may read and asked for what no owner is called. Raises NoRole and NotFound."""
        outcome, role = answer[0], answer[1]
        if outcome == "forbidden":
            raise grants.NoRole
        veiled = role in self._veiled_roles
        owner = asked.unveiled if veiled else asked.owner
        if outcome == "absent" and veiled and owner is None:
            raise NotFound(field=self.parameter)
        if outcome == "absent" and owner is not None:
            raise NotFound(what_zh=self._read.what_zh, what_en=self._read.what_en, field=self.parameter)
        return owner

    def _row(self, answer: Answer, claims: Claims, cause: Cause) -> HotRow:
        row, more = answer[2 : self._row_end], answer[self._row_end :]
        return HotRow(
            role=answer[1],
            row=SimpleNamespace(**dict(zip(self._read.row_names, row, strict=True))),
            more=SimpleNamespace(**dict(zip(self._read.more_names, more, strict=True))) if _any(more) else None,
            memory=self._memory,
            work=partial(self._work, cause, Actor(person_id=claims.person_id, role=answer[1])),
        )

    def _work(self, cause: Cause, actor: Actor) -> AbstractAsyncContextManager[UnitOfWork]:
        return self._database.work(role="api", cause=cause, actor=actor, scope=NOTHING)


class HotRoutes:
    """Pure ASGI: answers plain requests of hot routes, and hands everything else on to the framework."""

    def __init__(self, *, readers: Sequence[HotReader]) -> None:
        self._readers = {reader.prefix: reader for reader in readers}

    def plain(self, scope: MutableMapping[str, Any]) -> tuple[HotReader, str] | None:
        """The reader and the owner. Anything out of the ordinary is the framework's: a query, a name no owner has."""
        if scope["type"] != "http" or scope["method"] != "GET" or scope["query_string"]:
            return None
        path: str = scope["path"]
        cut = path.rfind("/") + 1
        reader = self._readers.get(path[:cut])
        owner = reader.owner_of(path[cut:]) if reader is not None else None
        return (reader, owner) if reader is not None and owner is not None else None

    async def answer(self, reader: HotReader, owner: str, *, scope: MutableMapping[str, Any], send: Any) -> None:
        begun = time.perf_counter()
        scope["traceparent"] = parent = traceparent(scope["headers"])
        headers = [*HOUSE_HEADERS, (b"traceparent", parent.encode())]
        status = 200
        try:
            body = await reader.before_the_framework(scope, owner=owner)
            headers += (b"content-length", str(len(body)).encode()), (b"content-type", b"application/json")
        except Exception as error:
            problem = error if isinstance(error, Problem) else problem_of(error)
            refusal = problem_response(Request(scope), problem)
            status, body = refusal.status_code, bytes(refusal.body)
            headers += refusal.raw_headers
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})
        reader.took(time.perf_counter() - begun, status=status)


def _any(values: Sequence[Any]) -> bool:
    return any(value is not None for value in values)


def _can_be_stored(text: str) -> bool:
    """Whether Postgres can hold it: one caller's text must not fail what is asked for others with it."""
    try:
        return b"\0" not in text.encode()
    except UnicodeEncodeError:
        return False
