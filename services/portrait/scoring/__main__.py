"""`python -m services.portrait.scoring run|work|follow`: scoring from the command line, with its progress.

`run` asks for the scores of a month or several and follows them; `work` is one more replica for the chunks of all
runs, or of one; `follow` shows the progress of a run until everybody has been told.
"""

import argparse
import asyncio
import json
import sys
from uuid import UUID

from services.kernel import faults, logging
from services.kernel.settings import KernelSettings
from services.kernel.work import EVERYTHING, Actor, Cause, Database
from services.portrait.scoring.runs import progress_of, request_run, run_named
from services.portrait.scoring.worker import ScoringWorker
from services.portrait.tables import metadata


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m services.portrait.scoring", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="ask for scores and follow")
    run.add_argument("month")
    run.add_argument("--from-month")
    run.add_argument("--trial", action="store_true", help="seen by its id alone; nobody is told")
    run.add_argument("--chunk-customers", type=int)
    run.add_argument("--request-only", action="store_true", help="print the run's id and leave")
    work = commands.add_parser("work", help="one more replica")
    work.add_argument("--run-id", type=UUID)
    work.add_argument("--until-idle", action="store_true", help="leave when there is no chunk to take")
    commands.add_parser("follow", help="show the progress of a run").add_argument("run_id", type=UUID)
    arguments = parser.parse_args()
    settings = KernelSettings()
    logging.configure()
    faults.arm(settings.fault, environment=settings.environment)
    asyncio.run(_command(settings, arguments))


async def _command(settings: KernelSettings, arguments: argparse.Namespace) -> None:
    database = Database(service="portrait", metadata=metadata, settings=settings)
    try:
        match arguments.command:
            case "work":
                await _work(database, settings, arguments)
            case "follow":
                await _follow(database, arguments.run_id)
            case _:
                run_id = await _ask(database, arguments)
                sys.stdout.write(json.dumps({"run_id": run_id}) + "\n")
                sys.stdout.flush()
                if not arguments.request_only:
                    await _follow(database, UUID(run_id))
    finally:
        await database.close()


async def _ask(database: Database, arguments: argparse.Namespace) -> str:
    now = database.clock.now().isoformat()
    cause = Cause(id=f"score-run|{arguments.month}|{now}", source="command-line", type="score-run")
    actor = Actor(person_id="operator:command-line", role="system-administrator")
    async with database.work(role="worker", cause=cause, actor=actor, scope=EVERYTHING) as work:
        return await request_run(
            work, month=arguments.month, from_month=arguments.from_month, trial=arguments.trial,
            chunk_customers=arguments.chunk_customers,
        )  # fmt: skip


async def _work(database: Database, settings: KernelSettings, arguments: argparse.Namespace) -> None:
    worker = ScoringWorker(database=database, holder=settings.instance, run_id=arguments.run_id)
    if not arguments.until_idle:
        await worker.run()
    while await worker.turn():
        pass


async def _follow(database: Database, run_id: UUID) -> None:
    cause = Cause(id=str(run_id), source="command-line", type="follow")
    actor = Actor(person_id="operator:command-line", role="system-administrator")
    while True:
        async with database.work(role="worker", cause=cause, actor=actor, scope=EVERYTHING) as work:
            run, phases = await run_named(work, run_id=run_id), await progress_of(work, run_id=run_id)
        said = " · ".join(f"{p.phase} {p.done}/{p.chunks}" for p in phases)
        sys.stderr.write(f"\r{run.from_month}..{run.month}  {said}   ")
        sys.stderr.flush()
        if run.finished_at is not None:
            sys.stderr.write("完成 done\n")
            return
        await asyncio.sleep(0.3)


if __name__ == "__main__":
    main()
