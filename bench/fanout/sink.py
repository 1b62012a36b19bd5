"""`python -m bench.fanout.sink PORT`: a provider on loopback that takes messages as fast as a small loop can.

Speaks WeChat's two calls; keeps what each recipient got. `GET /received?first=N` tells count and digest.
"""

import asyncio
import hashlib
import json
import sys
import time
from typing import Any
from urllib.parse import parse_qs, urlsplit

_TOKEN = json.dumps({"access_token": "t" * 32, "expires_in": 7200}).encode()


class Received:
    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        self.bodies: dict[str, bytes] = {}
        self.times: list[float] = []
        self.at: dict[str, float] = {}
        self.count = 0

    def take(self, body: bytes) -> bytes:
        message: dict[str, Any] = json.loads(body)
        self.count += 1
        self.times.append(time.time())
        self.at.setdefault(message["touser"], time.time())
        said = json.dumps([message["template_id"], message["data"]], sort_keys=True).encode()
        self.bodies[message["touser"]] = hashlib.sha256(self.bodies.get(message["touser"], b"") + said).digest()
        return b'{"errcode":0,"errmsg":"ok","msgid":%d}' % (10_000_000 + self.count)

    def told(self, first: int | None) -> bytes:
        people = sorted(self.bodies)[:first]
        digest = hashlib.sha256(b"".join(p.encode() + self.bodies[p] for p in people)).hexdigest()
        return json.dumps({"count": self.count, "people": len(self.bodies), "digest": digest}).encode()


class Connection(asyncio.Protocol):
    def __init__(self, received: Received) -> None:
        self._received = received
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end]
            length = 0
            for line in head.split(b"\r\n")[1:]:
                if line[:15].lower() == b"content-length:":
                    length = int(line[15:])
            if len(self._buffer) < end + 4 + length:
                return
            body = self._buffer[end + 4 : end + 4 + length]
            self._buffer = self._buffer[end + 4 + length :]
            self._answer(head.split(b" ", 2)[1].decode(), body)

    def _answer(self, target: str, body: bytes) -> None:
        path = urlsplit(target)
        if path.path.endswith("/template/send"):
            said = self._received.take(body)
        elif path.path.endswith("/stable_token"):
            said = _TOKEN
        elif path.path == "/forget":
            self._received.forget()
            said = b"{}"
        elif path.path == "/arrivals":
            said = json.dumps({"times": self._received.times, "at": self._received.at}).encode()
        else:
            first = parse_qs(path.query).get("first")
            said = self._received.told(int(first[0]) if first else None)
        assert self._transport is not None
        self._transport.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(said) + said
        )


async def main(port: int) -> None:
    received = Received()
    server = await asyncio.get_running_loop().create_server(lambda: Connection(received), "127.0.0.1", port)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
