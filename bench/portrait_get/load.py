"""Asks for customers over keep-alive connections and notes how long each answer took.

`python -m bench.portrait_get.load PORT SECONDS CONNECTIONS CUSTOMERS`, the bearer token in BENCH_TOKEN. Answers of the
first customers are fetched before the clock starts and hashed: what is asked is known to be answered rightly.
"""

import asyncio
import hashlib
import json
import os
import random
import sys
import time

from bench.children import report

SAMPLE = 200


def customer(number: int) -> str:
    return f"C-{number:06d}"


class Connection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._token = os.environ["BENCH_TOKEN"]

    async def ask(self, customer_id: str) -> bytes:
        """The body. Raises ValueError when the answer is not 200."""
        self._writer.write(
            f"GET /portrait/v1/customers/{customer_id} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: application/json\r\n"
            f"Authorization: Bearer {self._token}\r\n\r\n".encode()
        )
        head = await self._reader.readuntil(b"\r\n\r\n")
        lines = head.decode("latin-1").lower().split("\r\n")
        length = next(int(line.split(":")[1]) for line in lines if line.startswith("content-length:"))
        body = await self._reader.readexactly(length)
        if not lines[0].startswith("http/1.1 200"):
            raise ValueError(f"{lines[0]}: {body[:300]!r}")
        return body

    def close(self) -> None:
        self._writer.close()


async def work(connection: Connection, *, until: float, customers: int, seed: int) -> list[float]:
    rng = random.Random(seed)
    took = []
    while (begun := time.perf_counter()) < until:
        await connection.ask(customer(rng.randrange(customers)))
        took.append(time.perf_counter() - begun)
    return took


async def run(port: int, seconds: float, connections: int, customers: int) -> None:
    lines = [Connection(*await asyncio.open_connection("127.0.0.1", port)) for _ in range(connections)]
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
    asyncio.run(run(int(port), float(seconds), int(connections), int(customers)))


if __name__ == "__main__":
    main()
