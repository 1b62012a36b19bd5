"""The sandbox as one ASGI application."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deploy.wechat_sandbox.admin import Admin
from deploy.wechat_sandbox.api import CgiBin
from deploy.wechat_sandbox.phone import Phones
from deploy.wechat_sandbox.world import World


class MarkSandbox:
    """`X-Sandbox: 1` on every answer, so that nobody takes one for WeChat's."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def mark(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), (b"x-sandbox", b"1")]
            await send(message)

        await self._app(scope, receive, mark)


def build_app(*, world: World) -> Starlette:
    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with world.pusher:
            yield
        world.journal.close()

    routes = [*CgiBin(world=world).routes(), *Admin(world=world).routes(), *Phones(world=world).routes()]
    return Starlette(routes=routes, middleware=[Middleware(MarkSandbox)], lifespan=lifespan)
