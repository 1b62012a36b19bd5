"""Runs of `python -m deploy.demo` as a person would start them, seen by what they print and dump."""

import contextlib
import difflib
import json
import signal
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.local.processes import descendants

PROJECT = Path(__file__).resolve().parents[2]
_LIMIT_S = 600


@dataclass(frozen=True, kw_only=True)
class Run:
    """`figures` is the line of JSON; `tables` and `messages` are the canonical dumps."""

    figures: dict[str, Any]
    told: str
    tables: str
    messages: str


def arguments(folder: Path, *, seed: int) -> list[str]:
    dump = ["--dump", str(folder / "dump")]
    return [sys.executable, "-m", "deploy.demo", "--seed", str(seed), "--folder", str(folder / "house"), *dump]


def run_demo(folder: Path, *, seed: int, kill: tuple[str, ...], kill_seed: int) -> Run:
    """Raises `AssertionError` with the end of the story when the demo fails."""
    argv = [*arguments(folder, seed=seed), "--kill", *kill, "--kill-seed", str(kill_seed)]
    done = subprocess.run(argv, cwd=PROJECT, capture_output=True, text=True, check=False, timeout=_LIMIT_S)
    assert done.returncode == 0, (
        f"seed {seed}, killed {kill} by seed {kill_seed}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    )
    return run_of(folder, done.stdout)


def run_of(folder: Path, told: str) -> Run:
    [figures] = [json.loads(line) for line in told.splitlines() if line.startswith('{"broker"')]
    return Run(
        figures=figures,
        told=told,
        tables=(folder / "dump" / "tables.txt").read_text(),
        messages=(folder / "dump" / "messages.txt").read_text(),
    )


class Staying:
    """A program that stays up until it is interrupted, as by Ctrl-C; its words are kept in a file."""

    def __init__(self, *, argv: list[str], log: Path) -> None:
        self._log = log
        with log.open("wb") as out:
            self._process = subprocess.Popen(
                argv,
                cwd=PROJECT,
                stdout=out,
                stderr=subprocess.STDOUT,
                process_group=0,
                # A shell starts what runs in its background with Ctrl-C ignored, and children inherit that.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
            )

    @property
    def told(self) -> str:
        return self._log.read_text()

    def wait_for(self, words: str) -> str:
        end = time.monotonic() + _LIMIT_S
        while words not in self.told:
            assert self._process.poll() is None, f"ended before {words!r}\n{self.told[-3000:]}"
            assert time.monotonic() < end, f"never said {words!r}\n{self.told[-3000:]}"
            time.sleep(0.2)
        return self.told

    def wait_until_answers(self, url: str) -> None:
        end = time.monotonic() + _LIMIT_S
        while time.monotonic() < end:
            assert self._process.poll() is None, f"ended by itself\n{self.told[-3000:]}"
            with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5):
                return
            time.sleep(0.2)
        raise AssertionError(f"{url} never answered\n{self.told[-3000:]}")

    def interrupt(self) -> tuple[int, list[int]]:
        """Exit status, and the pids below it that are still there."""
        below = descendants(pid=self._process.pid)
        self._process.send_signal(signal.SIGINT)
        status = self._process.wait(timeout=90)
        return status, [pid for pid in below if Path(f"/proc/{pid}").exists()]

    def close(self) -> None:
        if self._process.poll() is None:
            self.interrupt()


def differences(wanted: str, found: str, *, most: int = 20) -> str:
    """Empty when equal byte for byte; else the first differing lines, and what to do about a column that may differ."""
    if wanted == found:
        return ""
    lines = difflib.unified_diff(wanted.splitlines(), found.splitlines(), "fault-free", "killed", lineterm="", n=0)
    shown = [line[:500] for _, line in zip(range(most), lines, strict=False)]
    hint = "a column of the wall clock belongs into deploy/demo/canonical.py with its reason; all else is a fault"
    return "\n".join([hint, *shown])
