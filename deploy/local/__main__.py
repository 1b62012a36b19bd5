"""`python -m deploy.local up|down|status`: Postgres and a broker, in the foreground, described in var/stack.json."""

import argparse
import json
import os
import signal
import sys
import time
from pathlib import Path

from deploy.local.broker import start_broker
from deploy.local.postgres import EmbeddedPostgres
from deploy.local.processes import accepts_connections

_STOP_TIMEOUT_S = 90.0


def _running(file: Path) -> dict[str, str] | None:
    try:
        stack: dict[str, str] = json.loads(file.read_text())
        os.kill(int(stack["pid"]), 0)
    except (OSError, ValueError, KeyError):
        return None
    # The number may have been given away again since a crash left the file behind.
    return stack if accepts_connections(port=int(stack["postgres_port"])) else None


def _up(*, folder: Path, file: Path, postgres_port: int, broker_port: int) -> int:
    if _running(file):
        print(f"already up, see {file}", file=sys.stderr)
        return 1
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    postgres = EmbeddedPostgres(folder=folder / "postgres", port=postgres_port)
    server = postgres.start()
    broker = None
    try:
        print(f"postgres: 127.0.0.1:{server.port}, pid {server.pid}, data in {postgres.data}", flush=True)
        broker = start_broker(folder=folder, port=broker_port)
        stack = {
            "pid": str(os.getpid()),
            "postgres_port": str(server.port),
            "superuser_dsn": server.superuser_dsn,
            "broker": broker.kind,
            "kafka_bootstrap_servers": broker.bootstrap_servers,
        }
        fresh = file.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
            json.dump(stack, out, indent=1)
        fresh.rename(file)
        while True:
            signal.pause()
    finally:
        file.unlink(missing_ok=True)
        if broker is not None:
            broker.stop()
        postgres.stop()


def _down(file: Path) -> int:
    stack = _running(file)
    if stack is None:
        print("not up")
        return 0
    os.kill(int(stack["pid"]), signal.SIGTERM)
    deadline = time.monotonic() + _STOP_TIMEOUT_S
    while accepts_connections(port=int(stack["postgres_port"])) or file.exists():
        if time.monotonic() > deadline:
            print(f"pid {stack['pid']} did not stop in {_STOP_TIMEOUT_S:.0f} s", file=sys.stderr)
            return 1
        time.sleep(0.1)
    print("down")
    return 0


def _status(file: Path) -> int:
    stack = _running(file)
    if stack is None:
        print("not up")
        return 1
    print(f"postgres 127.0.0.1:{stack['postgres_port']}, {stack['broker']} {stack['kafka_bootstrap_servers']}")
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m deploy.local", description=__doc__)
    parser.add_argument("verb", choices=["up", "down", "status"])
    parser.add_argument("--folder", type=Path, default=Path("var"))
    parser.add_argument("--postgres-port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--broker-port", type=int, default=0, help="0 takes a free one")
    options = parser.parse_args()
    file = options.folder / "stack.json"
    match options.verb:
        case "up":
            return _up(
                folder=options.folder,
                file=file,
                postgres_port=options.postgres_port,
                broker_port=options.broker_port,
            )
        case "down":
            return _down(file)
        case _:
            return _status(file)


if __name__ == "__main__":
    sys.exit(main())
