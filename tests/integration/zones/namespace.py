"""A network namespace for the outer zone: its own loopback, one cable to ours, one port open in one direction."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import uuid4

import pytest

PORT = 8443


@dataclass(frozen=True, kw_only=True)
class Zone:
    name: str
    edge_address: str
    inner_address: str

    def command(self, *argv: str) -> list[str]:
        return ["ip", "netns", "exec", self.name, *argv]

    def run(self, *argv: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(self.command(*argv), capture_output=True, text=True, timeout=30, check=False)


def _do(*argv: str, text: str | None = None) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=20, check=False, input=text)
    if done.returncode:
        raise OSError(f"{' '.join(argv)}: {done.stderr.strip()}")


def _rules(cable: str) -> str:
    """The inner zone opens connections to the one port; nothing is opened towards it."""
    return f"""
table inet zone {{
  chain incoming {{
    type filter hook input priority 0; policy drop;
    iifname "lo" accept
    iifname "{cable}" ct state established accept
    iifname "{cable}" tcp dport {PORT} accept
  }}
  chain outgoing {{
    type filter hook output priority 0; policy drop;
    oifname "lo" accept
    oifname "{cable}" ct state established accept
  }}
}}
"""


@contextmanager
def outer_zone() -> Iterator[Zone]:
    """Skips loudly where namespaces cannot be made; under CI=true that is a failure."""
    mark, third = uuid4().hex[:6], 16 + uuid4().int % 200
    zone = Zone(name=f"kl-{mark}", edge_address=f"10.231.{third}.2", inner_address=f"10.231.{third}.1")
    ours, theirs = f"kli{mark}", f"kle{mark}"
    try:
        for tool in ("ip", "nft"):
            if shutil.which(tool) is None:
                raise OSError(f"{tool} is not installed")
        _do("ip", "netns", "add", zone.name)
        _do("ip", "link", "add", ours, "type", "veth", "peer", "name", theirs, "netns", zone.name)
        _do("ip", "address", "add", f"{zone.inner_address}/24", "dev", ours)
        _do("ip", "link", "set", ours, "up")
        _do(*zone.command("ip", "address", "add", f"{zone.edge_address}/24", "dev", theirs))
        _do(*zone.command("ip", "link", "set", theirs, "up"))
        _do(*zone.command("ip", "link", "set", "lo", "up"))
        _do(*zone.command("nft", "-f", "-"), text=_rules(theirs))
    except OSError as error:
        _clear(zone.name)
        if os.environ.get("CI") == "true":
            pytest.fail(f"no network namespaces: {error}")
        pytest.skip(f"NOT SHOWN: no network namespaces here: {error}")
    try:
        yield zone
    finally:
        _clear(zone.name)


def _clear(name: str, tools: Sequence[str] = ("ip", "netns", "delete")) -> None:
    subprocess.run([*tools, name], capture_output=True, timeout=20, check=False)
