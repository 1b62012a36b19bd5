"""Runs of `python -m deploy.demo` as a person would start them, seen by what they print and dump."""

import difflib
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[2]
_LIMIT_S = 600


@dataclass(frozen=True, kw_only=True)
class Run:
    """`figures` is the last line; `tables` and `messages` are the canonical dumps."""

    figures: dict[str, Any]
    told: str
    tables: str
    messages: str


def run_demo(folder: Path, *, seed: int, kill: tuple[str, ...] = (), kill_seed: int = 0) -> Run:
    """Raises `AssertionError` with the end of the story when the demo fails."""
    argv = [sys.executable, "-m", "deploy.demo", "--seed", str(seed)]
    argv += ["--folder", str(folder / "house"), "--dump", str(folder / "dump")]
    argv += ["--kill", *kill, "--kill-seed", str(kill_seed)] if kill else []
    done = subprocess.run(argv, cwd=PROJECT, capture_output=True, text=True, check=False, timeout=_LIMIT_S)
    assert done.returncode == 0, (
        f"seed {seed}, killed {kill} by seed {kill_seed}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    )
    return Run(
        figures=json.loads(done.stdout.splitlines()[-1]),
        told=done.stdout,
        tables=(folder / "dump" / "tables.txt").read_text(),
        messages=(folder / "dump" / "messages.txt").read_text(),
    )


def differences(wanted: str, found: str, *, most: int = 20) -> str:
    """Empty when equal byte for byte; else the first differing lines, and what to do about a column that may differ."""
    if wanted == found:
        return ""
    lines = difflib.unified_diff(wanted.splitlines(), found.splitlines(), "fault-free", "killed", lineterm="", n=0)
    shown = [line[:500] for _, line in zip(range(most), lines, strict=False)]
    hint = "a column of the wall clock belongs into deploy/demo/canonical.py with its reason; all else is a fault"
    return "\n".join([hint, *shown])
