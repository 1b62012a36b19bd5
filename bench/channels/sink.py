"""`python -m bench.channels.sink PORT`: accepts every message and answers with a number made from its content."""

import sys
import zlib

from aiohttp import web


async def _accept(request: web.Request) -> web.Response:
    body = await request.read()
    return web.json_response({"errcode": 0, "errmsg": "ok", "msgid": zlib.crc32(body)})


async def _ready(_: web.Request) -> web.Response:
    return web.Response(text="ready")


def main() -> None:
    app = web.Application()
    app.router.add_post("/cgi-bin/message/template/send", _accept)
    app.router.add_get("/ready", _ready)
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), access_log=None, print=None)


if __name__ == "__main__":
    main()
