"""`python -m deploy.demo`: set everything up, tell the loop, stop everything, end with one line of JSON."""

import argparse
import asyncio
import json
import shutil
import sys
import time
from pathlib import Path

from rich.console import Console

from deploy.demo.cast import open_ids
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


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m deploy.demo", description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("var/demo"))
    parser.add_argument("--seed", type=int, default=20260112)
    options = parser.parse_args()
    begun = time.monotonic()
    shutil.rmtree(options.folder, ignore_errors=True)
    console = Console(stderr=False, width=110)
    console.print(f"Keyline demo, as of {AS_OF.isoformat()}, seed {options.seed}", highlight=False)
    with House(
        folder=options.folder.absolute(), services=SERVICES, as_of=AS_OF, durable=False, followers=open_ids()
    ) as house:
        result = asyncio.run(_play(house, console, seed=options.seed, begun=begun))
    sys.stdout.write(json.dumps(result) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
