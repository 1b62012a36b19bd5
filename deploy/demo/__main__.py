"""`python -m deploy.demo`: set everything up, tell the loop, stop everything, end with one line of JSON."""

import argparse
import asyncio
import contextlib
import json
import shutil
import signal
import sys
import time
from pathlib import Path

from rich.console import Console

from deploy.demo.canonical import write_dump
from deploy.demo.cast import ELECTRICIAN, MEMBERS, STAFF, open_ids
from deploy.demo.figures import figures
from deploy.demo.kills import Kill, plan_kills
from deploy.demo.measured import AS_OF
from deploy.demo.publisher import Publisher
from deploy.demo.stage import Stage
from deploy.demo.story import tell
from deploy.local.house import House

SERVICES = ("inspection", "outage", "portrait", "notify")


async def _play(
    house: House, console: Console, *, seed: int, begun: float, kills: tuple[Kill, ...], dump: Path | None
) -> dict[str, object]:
    assert house.broker is not None
    async with Publisher(bootstrap_servers=house.broker.bootstrap_servers, time=AS_OF) as publisher:
        stage = Stage(house=house, publisher=publisher, console=console, seed=seed, kills=kills)
        await tell(stage)
        result = await figures(stage, seconds=time.monotonic() - begun)
        if dump is not None:
            await write_dump(stage.outside, house.services, master_key=house.key("master-key"), folder=dump)
        return result


def _stay(house: House, console: Console) -> None:
    """Print where everything is and how to sign in, and wait for Ctrl-C."""
    assert house.broker is not None
    assert house.postgres is not None
    lines = [(s, f"{house.url(s)}/docs · /openapi.json · /readyz · /metrics") for s in house.services]
    lines += [
        ("WeChat", f"{house.sandbox}/sandbox/phone"),
        ("Postgres", f"{house.postgres.host}:{house.postgres.port}"),
        (house.broker.kind, house.broker.bootstrap_servers),
        ("sign-in", f"curl -X POST '{house.issuer}/token?person_id={STAFF[0][0]}' → Authorization: Bearer …"),
        ("staff", ", ".join(f"{person} ({role})" for person, role in STAFF)),
        ("customers", ", ".join([*(m.contact_id for m in MEMBERS), ELECTRICIAN])),
        ("one more", f"make run SERVICE={house.services[0]}"),
    ]
    for name, text in lines:
        console.print(f"  {name:<12} {text}", highlight=False, soft_wrap=True, markup=False)
    console.print("  Ctrl-C 停止全部，数据保留。 stops all of it; a second start keeps the data", highlight=False)
    with contextlib.suppress(KeyboardInterrupt):
        while not (ended := house.children.ended()):
            time.sleep(0.5)
        console.print(f"  ended by itself: {', '.join(c.command.name for c in ended)}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m deploy.demo", description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("var/demo"))
    parser.add_argument("--seed", type=int, default=20260112, help="of the order of events")
    parser.add_argument("--stay", action="store_true", help="keep running afterwards; a second start keeps the data")
    parser.add_argument(
        "--kill", nargs="*", default=[], choices=SERVICES, metavar="SERVICE",
        help="kill -9 these services in the middle, at seeded moments, and start them again",
    )  # fmt: skip
    parser.add_argument("--kill-seed", type=int, help="of the moments; the seed if not given")
    parser.add_argument("--dump", type=Path, help="folder for the canonical dump and the messages at the end")
    return parser.parse_args()


def main() -> int:
    options = _arguments()
    begun = time.monotonic()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    told = options.folder / "told"
    if not (options.stay and told.is_file()):  # what a broken story left behind cannot be told on
        shutil.rmtree(options.folder, ignore_errors=True)
    console = Console(stderr=False, width=120)
    console.print(f"Keyline demo, as of {AS_OF.isoformat()}, seed {options.seed}", highlight=False)
    kill_seed = options.seed if options.kill_seed is None else options.kill_seed
    kills = plan_kills(seed=kill_seed, services=options.kill)
    for kill in kills:
        console.print(f"  planned kill (seed {kill_seed}): {kill}", highlight=False)
    with House(
        folder=options.folder.absolute(), services=SERVICES, as_of=AS_OF, durable=options.stay, followers=open_ids()
    ) as house:
        if not told.is_file():
            result = asyncio.run(_play(house, console, seed=options.seed, begun=begun, kills=kills, dump=options.dump))
            told.touch()
            sys.stdout.write(json.dumps(result) + "\n")
            sys.stdout.flush()
        if options.stay:
            _stay(house, console)
    return 0


if __name__ == "__main__":
    sys.exit(main())
