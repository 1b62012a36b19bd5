"""`python -m services.<name> [serve|migrate|dead-letters|rebuild|reconcile|door]`: every service's command line."""

import argparse
import asyncio
import gc
import json
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from uuid import UUID

import uvicorn

from services.kernel import faults, logging
from services.kernel.app import build_app
from services.kernel.failures import list_dead_letters, replay_dead_letter, show_dead_letter, skip_dead_letter
from services.kernel.file_door import FileRefused, take_file
from services.kernel.http_protocol import HouseProtocol
from services.kernel.manifest import Service
from services.kernel.migrate import migrate_all
from services.kernel.rebuild import rebuild
from services.kernel.reconcile import UnusableSince, reconcile
from services.kernel.settings import KernelSettings
from services.kernel.work import EVERYTHING, Actor, Cause, Database


def main(services: Sequence[Service], argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog=f"keyline {'+'.join(s.name for s in services)}")
    commands = parser.add_subparsers(dest="command")
    serve = commands.add_parser("serve", help="run (the default)")
    for target in (parser, serve):
        target.add_argument("--role", choices=["api", "consumer", "worker", "all"], default="all")
        target.add_argument("--port", type=int)
    commands.add_parser("migrate", help="bring the schema to its newest revision")
    letters = commands.add_parser("dead-letters", help="browse and settle dead letters")
    letters.add_argument("action", choices=["list", "show", "replay", "skip"])
    letters.add_argument("id", nargs="?", type=UUID)
    letters.add_argument("--reason", default="")
    again = commands.add_parser("rebuild", help="replay a compacted topic into its view")
    again.add_argument("topic")
    compare = commands.add_parser("reconcile", help="after a restore: compare the schema with the topics")
    compare.add_argument("--since", type=datetime.fromisoformat, required=True, help="such as 2026-03-01T08:00+08:00")
    compare.add_argument("--repair", action="store_true", help="apply what was not heard, send what is not there")
    door = commands.add_parser("door", help="take a file of outside events: JSON lines, or CSV of one event type")
    door.add_argument("file", type=Path)
    door.add_argument("--type", help="event type of every line, such as keyline.marketing.bill-issued.v1")
    arguments = parser.parse_args(argv)
    settings = KernelSettings()
    logging.configure()
    faults.arm(settings.fault, environment=settings.environment)
    match arguments.command:
        case "migrate":
            asyncio.run(migrate_all(services, settings=settings))
        case "dead-letters":
            asyncio.run(_dead_letters(services[0], settings, arguments))
        case "rebuild":
            count = asyncio.run(rebuild(service=services[0], settings=settings, topic=arguments.topic))
            print(f"{count} records of {arguments.topic} applied again")
        case "reconcile":
            _reconcile(services[0], settings, arguments)
        case "door":
            _door(services[0], settings, arguments)
        case _:
            _serve(services, settings, arguments)


def _door(service: Service, settings: KernelSettings, arguments: argparse.Namespace) -> None:
    try:
        taken = asyncio.run(take_file(service=service, settings=settings, path=arguments.file, type_=arguments.type))
    except FileRefused as refused:
        for problem in refused.problems:
            print(f"{arguments.file}: {problem.sentence.zh}。 {problem.sentence.en}.", file=sys.stderr)
        sys.exit("没有接收任何事件，请修正后重试。 Nothing was taken; correct the file and hand it in again.")
    except OSError as error:
        sys.exit(f"无法读取 {arguments.file}。 Cannot read it: {error.strerror}.")
    print(json.dumps({"accepted": taken}))


def _reconcile(service: Service, settings: KernelSettings, arguments: argparse.Namespace) -> None:
    """Ends with status 1 while something is left to do."""
    try:
        found = asyncio.run(
            reconcile(service=service, settings=settings, since=arguments.since, repair=arguments.repair)
        )
    except UnusableSince as error:
        sys.exit(str(error))
    for line in found.lines():
        print(json.dumps(line, ensure_ascii=False))
    sys.exit(int(found.open))


def _serve(services: Sequence[Service], settings: KernelSettings, arguments: argparse.Namespace) -> None:
    app = build_app(services, settings=settings, role=arguments.role)
    # What was imported lives for ever: out of the collector's sight, pauses get short (docs/adr).
    gc.freeze()
    gc.set_threshold(50_000, 50, 100)
    uvicorn.run(
        app,
        host=settings.host,
        port=settings.port if arguments.port is None else arguments.port,
        http=HouseProtocol,
        log_config=None,
        access_log=False,
        limit_concurrency=500,
        timeout_graceful_shutdown=20,
        server_header=False,
    )


async def _dead_letters(service: Service, settings: KernelSettings, arguments: argparse.Namespace) -> None:
    database = Database(service=service.name, metadata=service.metadata, settings=settings)
    cause = Cause(id=f"{arguments.action}|{arguments.id}", source="command-line", type="dead-letters")
    actor = Actor(person_id="operator:command-line", role="system-administrator")
    if arguments.action != "list" and arguments.id is None:
        sys.exit("请给出死信编号。 Name the dead letter's id.")
    if arguments.action in ("replay", "skip") and len(arguments.reason) < 3:
        sys.exit("请用 --reason 说明理由。 Say why with --reason.")
    async with database.work(role="worker", cause=cause, actor=actor, scope=EVERYTHING) as work:
        match arguments.action:
            case "list":
                for row in await list_dead_letters(work):
                    print(json.dumps(row, default=str, ensure_ascii=False))
            case "show":
                print(json.dumps(await show_dead_letter(work, letter_id=arguments.id), default=str, ensure_ascii=False))
            case "replay":
                await replay_dead_letter(work, letter_id=arguments.id, reason=arguments.reason)
            case "skip":
                await skip_dead_letter(work, letter_id=arguments.id, reason=arguments.reason)
    await database.close()
