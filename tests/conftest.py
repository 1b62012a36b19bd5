"""The stack that the tests look at from outside: one Postgres 18 and one broker per process of the tests."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy.local.broker import Broker, start_broker
from deploy.local.postgres import EmbeddedPostgres, PostgresServer

PROJECT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, kw_only=True)
class Stack:
    postgres: PostgresServer
    broker: Broker
    folder: Path


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    server = EmbeddedPostgres(folder=tmp_path_factory.mktemp("postgres"), synchronous_commit="off")
    try:
        yield server.start()
    finally:
        server.discard()


@pytest.fixture(scope="session")
def stack(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("stack")
    broker = start_broker(folder=folder, lib=PROJECT / "var" / "kafka" / "lib")
    try:
        yield Stack(postgres=postgres, broker=broker, folder=folder)
    finally:
        if broker.server is not None:
            broker.server.kill()  # nobody reads its data again
