"""HTTP edge: every route names its roles; one transaction per request, opened and committed here."""

import hashlib
import json
import re
import time
from collections.abc import Awaitable, Callable, Coroutine, MutableMapping
from typing import Annotated, Any, TypeVar
from uuid import uuid4

from fastapi import APIRouter, Depends, Request, Response
from fastapi.routing import APIRoute
from sqlalchemy import insert, select, text

from services.kernel import faults, metrics
from services.kernel.auth.grants import NoRole, access_of
from services.kernel.auth.tokens import Verifier
from services.kernel.errors import Conflict, Problem
from services.kernel.hot_reads import HotRead
from services.kernel.hot_routes import HotReader
from services.kernel.house_headers import HOUSE_HEADERS, traceparent
from services.kernel.veil import Veiling
from services.kernel.work import NOTHING, Actor, Cause, Database, UnitOfWork, set_scope

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])
_WRITES = {"POST", "PUT", "PATCH", "DELETE"}
_MAX_BODY_BYTES = 1_000_000


class RouteWithoutRole(ValueError):
    """Raised at import: a route neither names its roles nor says why it is public."""


def allow(*roles: str) -> Callable[[Endpoint], Endpoint]:
    """Name the roles that may call the route; the caller's grants in these roles give the scope."""

    def mark(endpoint: Endpoint) -> Endpoint:
        endpoint.__keyline_roles__ = frozenset(roles)  # type: ignore[attr-defined]
        return endpoint

    return mark


def public(reason: str) -> Callable[[Endpoint], Endpoint]:
    """A route without a person: it authenticates its caller by other means, which `reason` names."""

    def mark(endpoint: Endpoint) -> Endpoint:
        endpoint.__keyline_public__ = reason  # type: ignore[attr-defined]
        return endpoint

    return mark


class MissingIdempotencyKey(Problem):
    status = 400
    code = "missing-idempotency-key"

    def __init__(self) -> None:
        super().__init__(
            zh="写请求须带 Idempotency-Key 头（8 至 128 个可见字符），重试时保持不变。",
            en="Writes need an Idempotency-Key header (8 to 128 visible characters), the same on every retry.",
            field="Idempotency-Key",
        )


class KeylineRoute(APIRoute):
    """Authenticates, opens the unit of work under the caller's scope, answers repeated writes from memory, commits."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **kwargs: Any) -> None:
        self.roles: frozenset[str] = getattr(endpoint, "__keyline_roles__", frozenset())
        self.public_reason: str | None = getattr(endpoint, "__keyline_public__", None)
        self.hot_read: HotRead | None = getattr(endpoint, "__keyline_hot_read__", None)
        if not self.roles and not self.public_reason:
            raise RouteWithoutRole(f"{path}: name its roles with @allow or its reason with @public")
        if kwargs.get("max_body_size") is None:
            kwargs["max_body_size"] = _MAX_BODY_BYTES
        extra = dict(kwargs.get("openapi_extra") or {})
        extra["x-roles"] = sorted(self.roles) or ["public"]
        if self.roles:
            extra["security"] = [{"oidc": []}]
        kwargs["openapi_extra"] = extra
        super().__init__(path, endpoint, **kwargs)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        inner = super().get_route_handler()

        async def handle(request: Request) -> Response:
            if self.public_reason:
                return await inner(request)
            if self.hot_read is not None:
                reader: HotReader = request.app.state.hot_readers[self.path]
                return await reader.inside_the_framework(request, inner)
            return await self._handle(request, inner)

        return handle

    async def _handle(self, request: Request, inner: Callable[[Request], Awaitable[Response]]) -> Response:
        verifier: Verifier = request.app.state.verifier
        database: Database = request.app.state.databases[request.url.path.split("/")[1]]
        claims = await verifier.verify(request.headers.get("authorization", ""))
        writes = request.method in _WRITES
        key = self._idempotency_key(request) if writes else str(uuid4())
        cause = Cause(
            id=f"{claims.person_id}|{request.method} {request.url.path}|{key}",
            source="http",
            type=f"{request.method} {self.path}",
            traceparent=request.scope.get("traceparent", ""),
        )
        actor = Actor(person_id=claims.person_id)
        veiling: Veiling | None = request.app.state.veils.get(database.service)
        async with database.work(role="api", cause=cause, actor=actor, scope=NOTHING) as work:
            await self._authorise(work, last_resort=veiling.veil.roles if veiling else frozenset())
            request.state.work = work
            if veiling is not None and work.actor.role in veiling.veil.roles:
                inner = veiling.around(inner)
            if not writes:
                return await inner(request)
            response = await self._once(request, work, key, inner)
            faults.point("http-before-commit")
        faults.point("http-committed")
        return response

    async def _authorise(self, work: UnitOfWork, *, last_resort: frozenset[str]) -> None:
        person_id, (few, many) = work.actor.person_id, (self.roles & last_resort, self.roles - last_resort)
        access = await access_of(work, person_id=person_id, roles=many) if many else None
        if access is None and few:
            access = await access_of(work, person_id=person_id, roles=few)
        if access is None:
            raise NoRole
        work.actor, work.scope = access
        await set_scope(work.db, work.scope)

    def _idempotency_key(self, request: Request) -> str:
        key = request.headers.get("idempotency-key", "")
        if not re.fullmatch(r"[\x21-\x7e]{8,128}", key):
            raise MissingIdempotencyKey
        return key

    async def _once(
        self, request: Request, work: UnitOfWork, key: str, inner: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        """The first answer of (person, route, key), also for concurrent repeats; another body is refused."""
        route = f"{request.method} {request.url.path}"[:200]
        await work.db.execute(
            text("SELECT pg_advisory_xact_lock(hashtextextended(:k, 0))"),
            {"k": f"{work.actor.person_id}|{route}|{key}"},
        )
        digest = hashlib.sha256(await request.body()).digest()
        keys = work.tables.idempotency_key
        where = (keys.c.person_id == work.actor.person_id, keys.c.route == route, keys.c.key == key)
        known = (await work.db.execute(select(keys).where(*where))).first()
        if known is not None:
            if known.request_hash != digest:
                raise Conflict(
                    zh="同一 Idempotency-Key 曾用于不同内容，请换用新的键。",
                    en="This Idempotency-Key came with another body before; use a new key.",
                    field="Idempotency-Key",
                )
            return Response(
                known.body, known.status, media_type=known.content_type, headers={"Idempotency-Replayed": "true"}
            )
        response = await inner(request)
        if response.status_code < 400:
            await work.db.execute(
                insert(keys).values(
                    person_id=work.actor.person_id,
                    route=route,
                    key=key,
                    request_hash=digest,
                    status=response.status_code,
                    content_type=response.headers.get("content-type", "application/json")[:80],
                    body=bytes(response.body),
                )
            )
        return response


def service_router(service: str) -> APIRouter:
    """Routes of one service below `/<service>/v1`."""
    return APIRouter(prefix=f"/{service}/v1", route_class=KeylineRoute, tags=[service])


def _current_work(request: Request) -> UnitOfWork:
    work = request.state.work
    assert isinstance(work, UnitOfWork)
    return work


Work = Annotated[UnitOfWork, Depends(_current_work)]
"""The request's unit of work, under the caller's scope; what endpoints take as a parameter."""

Scope_ = MutableMapping[str, Any]


_TOO_LARGE = json.dumps(
    {
        "type": "urn:keyline:problem:too-large",
        "title": "too-large",
        "status": 413,
        "detail": "请求体超过该接口的上限，请拆分后重试。 The body exceeds this route's limit; split it and retry.",
        "field": "body",
    },
    ensure_ascii=False,
).encode()


class Edge:
    """Pure ASGI: trace id, security headers, time per route. Nothing here touches the body or the database."""

    def __init__(self, app: Callable[..., Awaitable[None]], *, service: str) -> None:
        self.app = app
        self.service = service

    async def __call__(self, scope: Scope_, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        scope["traceparent"] = traceparent(scope["headers"])
        begun = time.perf_counter()
        status = 500

        plain_413 = False

        async def sending(message: MutableMapping[str, Any]) -> None:
            nonlocal status, plain_413
            if message["type"] == "http.response.body" and plain_413:
                message = {"type": "http.response.body", "body": _TOO_LARGE, "more_body": False}
            if message["type"] == "http.response.start":
                status = message["status"]
                # The framework's body limit answers in plain text; the house answers as problem+json.
                plain_413 = status == 413 and (b"content-type", b"application/problem+json") not in message["headers"]
                if plain_413:
                    length = str(len(_TOO_LARGE)).encode()
                    message["headers"] = [(b"content-type", b"application/problem+json"), (b"content-length", length)]
                present = {name for name, _ in message.get("headers", [])}
                message["headers"] = [
                    *message.get("headers", []),
                    *[h for h in HOUSE_HEADERS if h[0] not in present],
                    (b"traceparent", scope["traceparent"].encode()),
                ]
            await send(message)

        try:
            await self.app(scope, receive, sending)
        finally:
            route = scope.get("route")
            path = getattr(route, "path", "unmatched")
            metrics.HTTP_SECONDS.labels(self.service, scope["method"], path, str(status)).observe(
                time.perf_counter() - begun
            )
