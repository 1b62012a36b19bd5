"""Routes that are answered from a hot read: before the framework where the request is plain, inside it where it is not.

Both ways ask the same reader and call the same endpoint; what is refused is refused alike.
"""

import re
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import partial
from itertools import count
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
from services.kernel.veil import Veiling
from services.kernel.work import NOTHING, Actor, Cause, Database, UnitOfWork

Inner = Callable[[Request], Awaitable[Response]]
_Headers = Sequence[tuple[bytes, bytes]]
_WRITTEN_OTHERWISE = re.compile(rb"[%?#]")
_OUTCOME, _ROLE, _ROW = 1, 2, 3


class NoHotRoute(ValueError):
    """Raised at start: the route cannot be answered from a hot read."""


@dataclass(kw_only=True, slots=True)
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
        self._type = f"GET {path}"
        self.prefix, self.parameter = shape[1], shape[2]
        self._read = read
        self._endpoint = endpoint
        self._database = database
        self._verifier = verifier
        self._veiling = veiling
        self._veiled_roles = veiling.veil.roles if veiling is not None else frozenset()
        self._looks_like: TypeAdapter[str] = TypeAdapter(get_type_hints(endpoint, include_extras=True)[self.parameter])
        self._row_end = _ROW + len(read.row_names)
        self._memory: dict[Any, Any] = {}
        self._process = process
        self._run, self._number = uuid4().hex, count()
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

    async def before_the_framework(self, request: "HotRequest") -> bytes:
        """The body of the answer. Raises what is refused."""
        claims = await self._verifier.verify(request.authorization)
        cause = self._cause(claims, path=request.path, traceparent=request.traceparent)
        asked, answer = await self._ask(claims, cause, text=request.owner, owner=request.owner)
        owner = self._found_owner(asked, answer) or request.owner
        said = await self._endpoint(**{self.parameter: owner, "found": self._row(answer, claims, cause)})
        assert isinstance(said, BaseModel), "a hot read is answered by a model"
        body = said.__pydantic_serializer__.to_json(said)
        if self._veiling is not None and answer[_ROLE] in self._veiled_roles:
            return bytes(self._veiling.close(Response(body, media_type="application/json")).body)
        return body

    async def inside_the_framework(self, request: Request, inner: Inner) -> Response:
        """The same for `KeylineRoute`; what no owner is called is left to the framework, which names the rule."""
        claims = await self._verifier.verify(request.headers.get("authorization", ""))
        text = str(request.scope["path_params"][self.parameter])
        parent = request.scope.get("traceparent", "")
        cause = self._cause(claims, path=request.scope["path"], traceparent=parent)
        asked, answer = await self._ask(claims, cause, text=text, owner=self.owner_of(text))
        owner = self._found_owner(asked, answer)
        request.state.found = self._row(answer, claims, cause) if owner is not None else None
        if self._veiling is not None and answer[_ROLE] in self._veiled_roles:
            inner = self._veiling.around(inner)
        return await inner(request)

    def _cause(self, claims: Claims, *, path: str, traceparent: str) -> Cause:
        number = f"{self._run}{next(self._number):x}"
        return Cause(
            id=f"{claims.person_id}|GET {path}|{number}", source="http", type=self._type, traceparent=traceparent
        )

    async def _ask(self, claims: Claims, cause: Cause, *, text: str, owner: str | None) -> tuple[Asked, Answer]:
        opened = self._veiling.opened(self.parameter, text) if self._veiling is not None else None
        unveiled = self.owner_of(opened) if opened is not None else None
        noted = f"{cause.source}/{cause.id}"[:160] if owner is not None or unveiled is not None else ""
        asked = Asked(person=claims.person_id, owner=owner, unveiled=unveiled, cause=noted)
        if not _can_be_stored(asked.person + asked.cause):
            raise NotText
        try:
            return asked, await self._batches.ask(asked)
        except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise problem_of(error) from error

    def _found_owner(self, asked: Asked, answer: Answer) -> str | None:
        """None where the caller may read and asked for what no owner is called. Raises NoRole and NotFound."""
        outcome, role = answer[_OUTCOME], answer[_ROLE]
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
        row, more = answer[_ROW : self._row_end], answer[self._row_end :]
        return HotRow(
            role=answer[_ROLE],
            row=SimpleNamespace(**dict(zip(self._read.row_names, row, strict=True))),
            more=SimpleNamespace(**dict(zip(self._read.more_names, more, strict=True))) if _any(more) else None,
            memory=self._memory,
            work=partial(self._work, cause, Actor(person_id=claims.person_id, role=answer[_ROLE])),
        )

    def _work(self, cause: Cause, actor: Actor) -> AbstractAsyncContextManager[UnitOfWork]:
        return self._database.work(role="api", cause=cause, actor=actor, scope=NOTHING)


@dataclass(kw_only=True, slots=True)
class HotAnswer:
    """`headers` beside those that every answer has."""

    status: int
    headers: _Headers
    body: bytes


@dataclass(kw_only=True, slots=True)
class HotRequest:
    """A plain request: a GET without a query or a body, of an owner that could be one."""

    reader: HotReader
    owner: str
    path: str
    headers: _Headers
    traceparent: str

    @property
    def authorization(self) -> str:
        for name, value in self.headers:
            if name == b"authorization":
                return value.decode("latin-1")
        return ""

    async def answer(self) -> HotAnswer:
        begun = time.perf_counter()
        headers = [(b"traceparent", self.traceparent.encode())]
        try:
            body = await self.reader.before_the_framework(self)
            headers += (b"content-length", b"%d" % len(body)), (b"content-type", b"application/json")
            answer = HotAnswer(status=200, headers=headers, body=body)
        except Exception as error:
            problem = error if isinstance(error, Problem) else problem_of(error)
            scope = {"type": "http", "method": "GET", "path": self.path, "query_string": b"", "headers": self.headers}
            refusal = problem_response(Request(scope), problem)
            headers += refusal.raw_headers
            answer = HotAnswer(status=refusal.status_code, headers=headers, body=bytes(refusal.body))
        self.reader.took(time.perf_counter() - begun, status=answer.status)
        return answer


class HotRoutes:
    """Which requests are answered before the framework (`http_protocol.py`)."""

    def __init__(self, *, readers: Sequence[HotReader]) -> None:
        self._readers = {reader.prefix.encode(): reader for reader in readers}

    def plain(self, url: bytes) -> tuple[HotReader, str] | None:
        """The reader and the owner. Anything out of the ordinary is the framework's: a query, a name no owner has."""
        cut = url.rfind(b"/") + 1
        reader = self._readers.get(url[:cut])
        if reader is None or not url.isascii() or _WRITTEN_OTHERWISE.search(url):
            return None
        owner = reader.owner_of(url[cut:].decode())
        return (reader, owner) if owner is not None else None


def _any(values: Sequence[Any]) -> bool:
    return any(value is not None for value in values)


def _can_be_stored(text: str) -> bool:
    """Whether Postgres can hold it: one caller's text must not fail what is asked for others with it."""
    try:
        return b"\0" not in text.encode()
    except UnicodeEncodeError:
        return False
