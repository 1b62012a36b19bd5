"""One ASGI app for one service or for all four: equal URLs in both."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from fastapi import FastAPI, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from services.kernel import errors
from services.kernel.auth.tokens import Verifier
from services.kernel.hot_routes import HotReader, HotRoutes
from services.kernel.http import Edge, KeylineRoute
from services.kernel.letters_api import letters_router
from services.kernel.manifest import Service
from services.kernel.runtime import Role, Runtime
from services.kernel.settings import KernelSettings
from services.kernel.veil import Veiling, pseudonyms_of


def build_app(services: Sequence[Service], *, settings: KernelSettings, role: Role = "all") -> FastAPI:
    runtimes = [Runtime(service=s, settings=settings, role=role) for s in services]
    for runtime in runtimes:
        runtime.makes = tuple(topic for s in services for topic in s.topics)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            for runtime in runtimes:
                await stack.enter_async_context(runtime.running())
            for reader in app.state.hot_readers.values():
                stack.push_async_callback(reader.close)
            yield

    name = "+".join(s.name for s in services)
    app = FastAPI(
        title="Keyline " + " / ".join(f"{s.title_zh} {s.title_en}" for s in services),
        version="1",
        lifespan=lifespan,
        docs_url=None if settings.environment == "production" else "/docs",
        redoc_url=None,
        openapi_url="/openapi.json",
    )
    app.state.databases = {r.service.name: r.database for r in runtimes}
    app.state.settings = settings
    app.state.veils = _veils(services, settings) if role in ("api", "all") else {}
    app.state.verifier = Verifier(settings=settings)
    app.state.hot_readers = _hot_readers(app, services, process=name) if role in ("api", "all") else {}
    app.state.hot_routes = HotRoutes(readers=list(app.state.hot_readers.values()))
    app.state.runtimes = {r.service.name: r for r in runtimes}
    errors.install(app)
    if role in ("api", "all"):
        for service in services:
            for router in (*service.routers, letters_router(service.name)):
                app.include_router(router)
    _add_health(app, runtimes)
    app.add_middleware(Edge, service=name)
    _describe_security(app)
    return app


def _hot_readers(app: FastAPI, services: Sequence[Service], *, process: str) -> dict[str, HotReader]:
    """Path -> what answers it."""
    return {
        route.path: HotReader(
            read=route.hot_read,
            path=route.path,
            roles=route.roles,
            endpoint=route.endpoint,
            database=app.state.databases[service.name],
            verifier=app.state.verifier,
            veiling=app.state.veils.get(service.name),
            process=process,
        )
        for service in services
        for router in service.routers
        for route in router.routes
        if isinstance(route, KeylineRoute) and route.hot_read is not None
    }


def _veils(services: Sequence[Service], settings: KernelSettings) -> dict[str, Veiling]:
    if not any(s.veil for s in services):
        return {}
    pseudonyms = pseudonyms_of(settings)
    return {s.name: Veiling(veil=s.veil, pseudonyms=pseudonyms) for s in services if s.veil is not None}


def _add_health(app: FastAPI, runtimes: Sequence[Runtime]) -> None:
    @app.get("/livez", include_in_schema=False)
    async def livez() -> JSONResponse:
        stalled = {r.service.name: s for r in runtimes if (s := r.stalled())}
        return JSONResponse({"live": not stalled, "stalled": stalled}, 503 if stalled else 200)

    @app.get("/readyz", include_in_schema=False)
    async def readyz() -> JSONResponse:
        reasons = {r.service.name: why for r in runtimes if (why := await r.unready())}
        return JSONResponse({"ready": not reasons, "reasons": reasons}, 503 if reasons else 200)

    @app.get("/metrics", include_in_schema=False)
    async def scrape() -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


def _describe_security(app: FastAPI) -> None:
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        document = plain()
        schemes = document.setdefault("components", {}).setdefault("securitySchemes", {})
        schemes["oidc"] = {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
        return document

    app.openapi = openapi  # type: ignore[method-assign]
