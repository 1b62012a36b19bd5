"""The connections of the hot path against a server that keeps no rule: what is certain, what is doubtful, what is kept.

On both event loops: services run on uvloop, tools and tests on asyncio's own.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import uvloop
from yarl import URL

from deploy.local.processes import free_port
from deploy.server_secrets import make
from services.notify.adapters.origin import AnswerTooLarge, NoAnswer, NotSent, Origin, OriginLimits, head_of

Step = bytes | float | None
"""What the server writes, how long it waits, or (None) that it closes the connection."""
GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n"
UNTIL_CLOSED = b"HTTP/1.1 200 OK\r\n\r\nok"
BODY = '{"touser":"甲"}'.encode()
Run = Callable[[Callable[[], Awaitable[None]]], None]


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def on_loop(request: pytest.FixtureRequest) -> Iterator[Run]:
    with asyncio.Runner(loop_factory=request.param) as runner:

        async def bounded(case: Callable[[], Awaitable[None]]) -> None:
            async with asyncio.timeout(20):
                await case()

        yield lambda case: runner.run(bounded(case))


class Server:
    """Does for each request what its script says next; knows requests and connections."""

    def __init__(self, *script: list[Step]) -> None:
        self.script = iter(script)
        self.requests: list[bytes] = []
        self.connections = 0
        self.open: set[asyncio.StreamWriter] = set()

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open.add(writer)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                self.requests.append(head + await reader.readexactly(length))
                await self._play(writer)
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            pass
        finally:
            self.open.discard(writer)
            writer.close()

    async def _play(self, writer: asyncio.StreamWriter) -> None:
        for step in next(self.script):
            match step:
                case None:
                    writer.close()
                    raise ConnectionResetError
                case bytes():
                    writer.write(step)
                    await writer.drain()
                case _:
                    await asyncio.sleep(step)


@asynccontextmanager
async def calling(
    *script: list[Step], read_s: float = 5.0, total_s: float = 8.0, tls: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[Server, Callable[[], Awaitable[tuple[int, bytes]]]]]:
    server = Server(*script)
    async with await asyncio.start_server(server.handle, "127.0.0.1", 0, ssl=tls) as listening:
        port = listening.sockets[0].getsockname()[1]
        url = URL(f"{'http' if tls is None else 'https'}://127.0.0.1:{port}/send?access_token=a%26b")
        limits = OriginLimits(connect_timeout_s=3, read_timeout_s=read_s, total_timeout_s=total_s)
        origin = Origin(url=url, limits=limits)
        head = head_of(url, content_type="application/json")
        try:
            yield server, lambda: origin.post(head=head, body=BODY, most_bytes=1_000)
        finally:
            origin.close()
            for writer in list(server.open):
                writer.close()


def test_one_connection_serves_call_after_call(on_loop: Run) -> None:
    interim = b"HTTP/1.1 100 Continue\r\n\r\n"
    in_bytes: list[Step] = [step for n in range(len(GOOD)) for step in (GOOD[n : n + 1], 0.001)]
    refused = b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy"

    async def case() -> None:
        async with calling([GOOD], [CHUNKED], in_bytes, [interim, GOOD], [refused], [GOOD]) as (server, call):
            answers = [await call() for _ in range(6)]
        assert answers == [(200, b"ok")] * 4 + [(503, b"busy")] + [(200, b"ok")]
        assert server.connections == 1
        first = server.requests[0].split(b"\r\n")
        assert first[0] == b"POST /send?access_token=a%26b HTTP/1.1"
        assert first[1].startswith(b"Host: 127.0.0.1:")
        assert server.requests[0].endswith(b"\r\n\r\n" + BODY)

    on_loop(case)


def test_as_many_connections_as_calls_under_way(on_loop: Run) -> None:
    slow: list[Step] = [0.1, GOOD]

    async def case() -> None:
        async with calling(*[slow] * 10) as (server, call):
            assert await asyncio.gather(*[call() for _ in range(5)]) == [(200, b"ok")] * 5
            assert await asyncio.gather(*[call() for _ in range(5)]) == [(200, b"ok")] * 5
        assert server.connections == 5

    on_loop(case)


@pytest.mark.parametrize("ending", [
    pytest.param([GOOD, None], id="closed after the answer"),
    pytest.param([b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"], id="told to close"),
    pytest.param([b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"], id="version 1.0"),
    pytest.param([UNTIL_CLOSED, None], id="body until the end"),
    pytest.param([GOOD + b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfalse"], id="an answer nobody asked for"),
    pytest.param([GOOD, 0.05, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfalse"], id="and one later"),
])  # fmt: skip
def test_a_connection_that_ended_is_not_blamed_on_the_next_message(on_loop: Run, ending: list[Step]) -> None:
    async def case() -> None:
        async with calling(ending, [GOOD]) as (server, call):
            assert await call() == (200, b"ok")
            await asyncio.sleep(0.2)
            assert await call() == (200, b"ok")
        assert server.connections == 2
        assert len(server.requests) == 2

    on_loop(case)


@pytest.mark.parametrize("answer", [
    pytest.param([None], id="nothing"),
    pytest.param([b"HTTP/1.1 200 OK\r\nContent-Le", None], id="half a head"),
    pytest.param([b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok", None], id="half a body"),
    pytest.param([CHUNKED[:-5], None], id="no last chunk"),
    pytest.param([b"SSH-2.0-OpenSSH_9.6\r\n"], id="another protocol"),
    pytest.param([b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok!"], id="two lengths"),
    pytest.param([b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"], id="an upgrade"),
])  # fmt: skip
def test_after_the_request_left_no_answer_is_doubt(on_loop: Run, answer: list[Step]) -> None:
    async def case() -> None:
        async with calling(answer, [GOOD]) as (server, call):
            with pytest.raises(NoAnswer) as lost:
                await call()
            assert "a%26b" not in f"{lost.value!r}"
            assert await call() == (200, b"ok")
        assert server.connections == 2

    on_loop(case)


@pytest.mark.parametrize(("answer", "earliest_s"), [
    pytest.param([10.0], 0.3, id="silence"),
    pytest.param([b"HTTP/1.1 200 OK\r\n", 10.0], 0.3, id="silence in the middle"),
    pytest.param([s for _ in range(100) for s in (b"HTTP/1.1 100 Continue\r\n\r\n", 0.1)], 1.0, id="never ready"),
])  # fmt: skip
def test_waiting_ends(on_loop: Run, answer: list[Step], earliest_s: float) -> None:
    async def case() -> None:
        loop = asyncio.get_running_loop()
        async with calling([GOOD], answer, [GOOD], read_s=0.3, total_s=1.0) as (_, call):
            await call()
            await asyncio.sleep(0.2)
            begun = loop.time()
            with pytest.raises(NoAnswer, match="TimeoutError"):
                await call()
            assert earliest_s - 0.05 <= loop.time() - begun < earliest_s + 0.5
            assert await call() == (200, b"ok")

    on_loop(case)


@pytest.mark.parametrize("answer", [
    pytest.param([b"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n" + b"x" * 1_001], id="one byte too many"),
    pytest.param([CHUNKED[:-5], *[b"400\r\n" + b"x" * 1_024 + b"\r\n"] * 200], id="chunks without end"),
    pytest.param([b"HTTP/1.1 200 OK\r\n", *[b"X: " + b"x" * 1_024 + b"\r\n"] * 200], id="a head without end"),
])  # fmt: skip
def test_an_answer_has_a_bound(on_loop: Run, answer: list[Step]) -> None:
    async def case() -> None:
        async with calling(answer, [GOOD]) as (_, call):
            with pytest.raises(AnswerTooLarge):
                await call()
            assert await call() == (200, b"ok")

    on_loop(case)


def test_who_gives_up_leaves_no_answer_to_the_next(on_loop: Run) -> None:
    late = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate"

    async def case() -> None:
        async with calling([0.2, late], [GOOD]) as (server, call):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await call()
            assert await call() == (200, b"ok")
        assert server.connections == 2

    on_loop(case)


def test_where_nobody_listens_nothing_was_sent(on_loop: Run) -> None:
    async def case() -> None:
        url = URL(f"http://127.0.0.1:{free_port()}/")
        limits = OriginLimits(connect_timeout_s=3, read_timeout_s=5, total_timeout_s=8)
        with pytest.raises(NotSent):
            await Origin(url=url, limits=limits).post(head=head_of(url, content_type="x"), body=b"", most_bytes=9)

    on_loop(case)


@pytest.mark.parametrize("trusted", [True, False])
def test_only_a_trusted_certificate_gets_the_request(
    on_loop: Run, trusted: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path)  # the broker's own certificate is one for this machine
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "kafka_keystore")
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "kafka_ca"))

    async def case() -> None:
        async with calling([GOOD], [GOOD], tls=context) as (server, call):
            if trusted:
                assert await call() == await call() == (200, b"ok")
                assert server.connections == 1
            else:
                with pytest.raises(NotSent, match="SSLCertVerificationError"):
                    await call()
                assert server.requests == []

    on_loop(case)
