"""`python -m deploy.local.service outage`: one service against given addresses.

The addresses are the `KEYLINE_*` variables of the environment; what they leave open is taken from the running house
(`make run`), if there is one. Ctrl-C stops the service and nothing else.
"""

import argparse
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from deploy.local.house import PROJECT, environment_file
from deploy.local.processes import free_port

NEEDED = ("KEYLINE_DATABASE_HOST", "KEYLINE_KAFKA_BOOTSTRAP_SERVERS", "KEYLINE_OIDC_ISSUER", "KEYLINE_OIDC_JWKS_URL")


def addresses(*, given: Mapping[str, str], folder: Path, service: str) -> dict[str, str]:
    """The environment of the service. Raises `SystemExit` naming the variables that nobody gave."""
    file = environment_file(folder, service)
    lines = file.read_text().splitlines() if file.is_file() else []
    found = dict(line.split("=", 1) for line in lines)
    # A second process of one name would share its leases with the first.
    found["KEYLINE_INSTANCE"] = f"{service}-{os.getpid()}"
    found |= {name: value for name, value in given.items() if name.startswith("KEYLINE_")}
    if missing := [name for name in NEEDED if not found.get(name)]:
        raise SystemExit(
            f"缺少 {', '.join(missing)}：请设置，或先运行 make run。 Set {', '.join(missing)}, or start make run first."
        )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m deploy.local.service", description=__doc__)
    parser.add_argument("service", choices=["inspection", "outage", "portrait", "notify"])
    parser.add_argument("--folder", type=Path, default=Path("var/run"))
    options = parser.parse_args()
    found = addresses(given=os.environ, folder=options.folder, service=options.service)
    found.setdefault("KEYLINE_PORT", str(free_port()))
    url = f"http://{found.get('KEYLINE_HOST', '127.0.0.1')}:{found['KEYLINE_PORT']}"
    print(f"{options.service}: {url}/docs, {url}/readyz, {url}/metrics; Ctrl-C 停止 stops it", flush=True)
    os.chdir(PROJECT)
    argv = [sys.executable, "-m", f"services.{options.service}", "serve", "--port", found["KEYLINE_PORT"]]
    os.execve(sys.executable, argv, {**os.environ, **found})  # noqa: S606  (our own module, no shell wanted)


if __name__ == "__main__":
    main()
