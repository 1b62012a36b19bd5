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

from deploy.demo.cast import ELECTRICIAN, MEMBERS, STAFF, open_ids
from deploy.demo.figures import figures
from deploy.demo.measured import AS_OF
from deploy.demo.publisher import Publisher
from deploy.demo.story import Story
from deploy.local.house import House

SERVICES = ("inspection", "outage", "portrait", "notify")


async def _play(house: House, console: Console, *, seed: int, begun: float) -> dict[str, object]:
    assert house.broker is not None
    async with Publisher(bootstrap_servers=house.broker.bootstrap_servers, time=AS_OF) as publisher:
        story = Story(house=house, publisher=publisher, console=console, seed=seed)
        await story.tell()
        return await figures(story, seconds=time.monotonic() - begun)


def _stay(house: House, console: Console) -> None:
    """Print where everything is and wait for Ctrl-C."""
    for service in house.services:
        console.print(f"  {service:<12} {house.url(service)}/docs", highlight=False)
    console.print(f"  {'WeChat':<12} {house.sandbox}/sandbox/phone", highlight=False)
    console.print(f"  {'sign-in':<12} curl -X POST '{house.issuer}/token?person_id=E-CHIEF'", highlight=False)
    people = ", ".join([*(person for person, _ in STAFF), *(m.contact_id for m in MEMBERS), ELECTRICIAN])
    console.print(f"  {'people':<12} {people}", highlight=False)
    console.print("  Ctrl-C 停止全部 stops all of it", highlight=False)
    with contextlib.suppress(KeyboardInterrupt):
        while not (ended := house.children.ended()):
            time.sleep(0.5)
        console.print(f"  ended by itself: {', '.join(c.command.name for c in ended)}")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m deploy.demo", description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("var/demo"))
    parser.add_argument("--seed", type=int, default=20260112)
    parser.add_argument("--stay", action="store_true", help="keep running afterwards; a second start keeps the data")
    options = parser.parse_args()
    begun = time.monotonic()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if not options.stay:
        shutil.rmtree(options.folder, ignore_errors=True)
    console = Console(stderr=False, width=110)
    console.print(f"Keyline demo, as of {AS_OF.isoformat()}, seed {options.seed}", highlight=False)
    told = options.folder / "told"
    with House(
        folder=options.folder.absolute(), services=SERVICES, as_of=AS_OF, durable=options.stay, followers=open_ids()
    ) as house:
        if not told.is_file():
            result = asyncio.run(_play(house, console, seed=options.seed, begun=begun))
            told.touch()
            sys.stdout.write(json.dumps(result) + "\n")
        if options.stay:
            _stay(house, console)
    return 0


if __name__ == "__main__":
    sys.exit(main())
