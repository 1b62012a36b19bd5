"""Callers who come while a statement runs share the next one: one round trip, one commit, an answer for each."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg
import msgspec

from services.kernel.errors import Unavailable, is_transient

_LANES = 2
"""Connections: while one waits for its commit, the other one reads."""
_MOST_TOGETHER = 32
_LONGEST_WAIT_S = 2.0
_COMMAND_TIMEOUT_S = 10.0
Answer = Sequence[Any]


@dataclass(kw_only=True, slots=True)
class Asked:
    """One caller's entry in the arrays of the statement."""

    person: str
    owner: str | None
    unveiled: str | None
    cause: str


@dataclass(kw_only=True, slots=True)
class _Waiting:
    asked: Asked
    since: float
    answer: asyncio.Future[Answer]


class Batches:
    """One statement with the arguments of `call_of`, on connections of its own.

    `dsn` is asked for when a connection is opened. A statement that fails for what one caller asked is repeated for
    each of them alone: nobody answers for another.
    """

    def __init__(
        self, *, dsn: Callable[[], str], name: str, call: str, roles: frozenset[str], last_resort: frozenset[str],
        clock: Callable[[], datetime], checked: Callable[[], bool],
    ) -> None:  # fmt: skip
        self._roles = sorted(roles - last_resort), sorted(roles & last_resort)
        self._clock = clock
        self._checked = checked
        self._waiting: deque[_Waiting] = deque()
        self._idle = [_Lane(dsn=dsn, name=name, call=call) for _ in range(_LANES)]
        self._running: set[asyncio.Task[None]] = set()

    async def ask(self, asked: Asked) -> Answer:
        """Raises `Unavailable`, or what the database said of this caller's question."""
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(asked=asked, since=time.monotonic(), answer=future))
        if self._idle:
            task = asyncio.create_task(self._serve(self._idle.pop()))
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        return await future

    async def close(self) -> None:
        await asyncio.gather(*self._running, return_exceptions=True)
        for lane in self._idle:
            await lane.close()

    async def _serve(self, lane: "_Lane") -> None:
        try:
            while self._waiting:
                together = [self._waiting.popleft() for _ in range(min(_MOST_TOGETHER, len(self._waiting)))]
                await self._answer(lane, [w for w in together if not _given_up(w)])
        finally:
            self._idle.append(lane)

    async def _answer(self, lane: "_Lane", together: Sequence[_Waiting]) -> None:
        if not together:
            return
        try:
            answers = await lane.run(self._arguments([w.asked for w in together]))
        except Exception as error:
            if is_transient(error):
                _refuse(together, Unavailable())
            elif len(together) == 1:
                _refuse(together, error)
            else:
                for one in together:
                    await self._answer(lane, [one])
            return
        for one, answer in zip(together, answers, strict=True):
            if not one.answer.done():
                one.answer.set_result(answer)

    def _arguments(self, asked: Sequence[Asked]) -> tuple[Any, ...]:
        many, few = self._roles
        return (
            many, few, self._clock(), self._checked(), [a.person for a in asked], [a.owner for a in asked],
            [a.unveiled for a in asked], [a.cause for a in asked],
        )  # fmt: skip


class _Lane:
    """A connection with the prepared statement, opened when it is first needed and again when it was lost."""

    def __init__(self, *, dsn: Callable[[], str], name: str, call: str) -> None:
        self._dsn = dsn
        self._name = name
        self._call = call
        self._connection: asyncpg.Connection | None = None
        self._statement: Any = None

    async def run(self, arguments: Sequence[Any]) -> list[Answer]:
        if self._connection is None or self._connection.is_closed():
            self._statement = None
            self._connection = await self._connect()
        try:
            try:
                return await self._fetch(self._connection, arguments)
            except asyncpg.InvalidCachedStatementError:
                # A migration made the function anew; nothing was read or written yet.
                self._statement = None
                return await self._fetch(self._connection, arguments)
        except (asyncpg.PostgresError, asyncpg.InterfaceError):
            self._statement = None
            raise
        except asyncpg.InternalClientError as error:
            # The server ended the session while it lay idle, and the driver has not understood it yet.
            self._connection.terminate()
            raise ConnectionError("the session was ended") from error
        except BaseException:
            self._connection.terminate()
            raise

    async def _fetch(self, connection: asyncpg.Connection, arguments: Sequence[Any]) -> list[Answer]:
        if self._statement is None:
            self._statement = await connection.prepare(self._call)
        return list(await self._statement.fetch(*arguments))

    async def _connect(self) -> asyncpg.Connection:
        connection = await asyncpg.connect(
            self._dsn(),
            timeout=5,
            command_timeout=_COMMAND_TIMEOUT_S,
            server_settings={
                "application_name": self._name,
                "statement_timeout": "5000",
                "lock_timeout": "5000",
                "timezone": "UTC",
                # By keys alone, and planned once: planning the policies takes longer than reading.
                "plan_cache_mode": "force_generic_plan",
                "enable_seqscan": "off",
            },
        )
        await connection.set_type_codec(
            "jsonb", schema="pg_catalog", encoder=lambda value: msgspec.json.encode(value).decode(),
            decoder=msgspec.json.decode,
        )  # fmt: skip
        return connection

    async def close(self) -> None:
        if self._connection is not None and not self._connection.is_closed():
            await self._connection.close(timeout=5)


def _given_up(waiting: _Waiting) -> bool:
    """Whether nobody waits any more, or for too long; who still waits is told."""
    if waiting.answer.done():
        return True
    if time.monotonic() - waiting.since > _LONGEST_WAIT_S:
        waiting.answer.set_exception(Unavailable())
        return True
    return False


def _refuse(together: Sequence[_Waiting], error: Exception) -> None:
    for one in together:
        if not one.answer.done():
            one.answer.set_exception(error)
