"""The outside systems of the demo: a plain Kafka producer that speaks CloudEvents."""

import asyncio
import hashlib
import time
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from types import TracebackType
from typing import Self

from aiokafka import AIOKafkaProducer

from services.contracts.envelope import Event


class Publisher:
    """Ids derive from the body, so that a repeated event is a repeat and no news. `sent` holds the ids by type."""

    def __init__(self, *, bootstrap_servers: str, time: datetime) -> None:
        self._producer = AIOKafkaProducer(bootstrap_servers=bootstrap_servers, acks="all", linger_ms=5)
        self._time = time
        self.sent: dict[str, set[str]] = defaultdict(set)

    async def __aenter__(self) -> Self:
        await self._producer.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self._producer.stop()

    async def send(self, events: Iterable[Event]) -> int:
        """Hand over all and wait until the broker has them; the monotonic nanosecond at which this began."""
        begun_ns = time.monotonic_ns()
        futures = [await self._send(event) for event in events]
        await asyncio.gather(*futures)
        return begun_ns

    async def _send(self, event: Event) -> asyncio.Future[object]:
        body = event.to_wire()
        id_ = hashlib.sha256(event.TYPE.encode() + body).hexdigest()[:32]
        headers = {
            "ce_specversion": "1.0",
            "ce_id": id_,
            "ce_source": f"demo/{event.TYPE.split('.')[1]}",
            "ce_type": event.TYPE,
            "ce_time": self._time.isoformat(),
            "ce_subject": event.key,
            "content-type": "application/json",
        }
        encoded = [(name, value.encode()) for name, value in headers.items()]
        sent: asyncio.Future[object] = await self._producer.send(
            event.TOPIC, value=body, key=event.key.encode(), headers=encoded
        )
        self.sent[event.TYPE].add(id_)
        return sent
