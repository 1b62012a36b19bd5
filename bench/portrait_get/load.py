"""Asks for customers over keep-alive connections and notes how long each answer took.

`python -m bench.portrait_get.load PORT SECONDS CONNECTIONS CUSTOMERS`, the bearer token in BENCH_TOKEN. Answers of the
first customers are fetched before the clock starts and hashed: what is asked is known to be answered rightly.

It shares the machine with the servers that it measures, so it is a protocol on bytes and takes little for itself.
"""

import asyncio
import hashlib
import json
import os
import random
import sys
import time
from typing import cast

import uvloop

from bench.children import report

SAMPLE = 200


def customer(number: int) -> str:
    return f"C-{number:06d}"


class Connection(asyncio.Protocol):
    """One request at a time; `body` of the answer when it is whole."""

    def __init__(self) -> None:
        self._tail = (
            " HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: application/json\r\n"
            f"Authorization: Bearer {os.environ['BENCH_TOKEN']}\r\n\r\n"
        )
        self._loop = asyncio.get_running_loop()
        self._received = b""
        self._whole = 0
        self._answered: asyncio.Future[bytes] = self._loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    async def ask(self, customer_id: str) -> bytes:
        """The body. Raises ValueError when the answer is not 200."""
        self._answered = self._loop.create_future()
        self._transport.write(f"GET /portrait/v1/customers/{customer_id}{self._tail}".encode())
        return await self._answered

    def data_received(self, data: bytes) -> None:
        self._received += data
        head = self._received.find(b"\r\n\r\n")
        if head < 0:
            return
        if not self._whole:
            words = self._received[:head].lower()
            length = words[words.index(b"content-length:") + 15 :].split(b"\r\n", 1)[0]
            self._whole = head + 4 + int(length)
        if len(self._received) < self._whole:
            return
        received, self._received, self._whole = self._received, b"", 0
        if received.startswith(b"HTTP/1.1 200"):
            self._answered.set_result(received[head + 4 :])
        else:
            self._answered.set_exception(ValueError(repr(received[:600])))

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._answered.done():
            self._answered.set_exception(exc or ConnectionResetError())

    def close(self) -> None:
        self._transport.close()


async def work(connection: Connection, *, until: float, customers: int, seed: int) -> list[float]:
    rng = random.Random(seed)
    took = []
    while (begun := time.perf_counter()) < until:
        await connection.ask(customer(rng.randrange(customers)))
        took.append(time.perf_counter() - begun)
    return took


async def run(port: int, seconds: float, connections: int, customers: int) -> None:
    loop = asyncio.get_running_loop()
    lines = [(await loop.create_connection(Connection, "127.0.0.1", port))[1] for _ in range(connections)]
    answers = hashlib.sha256()
    for number in range(SAMPLE):
        answers.update(json.dumps(json.loads(await lines[0].ask(customer(number))), sort_keys=True).encode())
    begun = time.perf_counter()
    each = await asyncio.gather(
        *[work(c, until=begun + seconds, customers=customers, seed=n) for n, c in enumerate(lines)]
    )
    ended = time.perf_counter()
    for line in lines:
        line.close()
    took = sorted(t for some in each for t in some)
    report(
        requests=len(took),
        asked=len(took) + SAMPLE,
        seconds=ended - begun,
        p50_ms=took[len(took) // 2] * 1e3,
        p99_ms=took[int(len(took) * 0.99)] * 1e3,
        digest=answers.hexdigest(),
    )


def main() -> None:
    port, seconds, connections, customers = sys.argv[1:5]
    uvloop.run(run(int(port), float(seconds), int(connections), int(customers)))


if __name__ == "__main__":
    main()
