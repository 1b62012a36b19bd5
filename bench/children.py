"""Variants as processes of their own, so that their memory and processor time are theirs alone."""

import asyncio
import json
import os
import resource
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.stack import PROJECT


class ChildFailed(RuntimeError):
    """The process ended with an error or said nothing; the message carries its last words."""


async def run_module(
    module: str, *arguments: str, environment: Mapping[str, str] | None = None, timeout_s: float = 120
) -> dict[str, Any]:
    """What `python -m module arguments` said through `report`. Raises `ChildFailed`, also when it took too long."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, *arguments, cwd=PROJECT, env={**os.environ, **(environment or {})},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        out, errors = await asyncio.wait_for(process.communicate(), timeout_s)
    except TimeoutError as error:
        raise ChildFailed(f"{module} {' '.join(arguments)} was not done after {timeout_s:.0f} s") from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise ChildFailed(f"{module} ended with {process.returncode}\n{errors.decode()[-4000:]}")
    return dict(json.loads(out.decode().splitlines()[-1]))


def report(**found: Any) -> None:
    """The last line of a child: what it found, its processor seconds and the peak of its memory."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(json.dumps({**found, "cpu_s": used.ru_utime + used.ru_stime, "peak_rss_mb": peak_rss_mb()}))


def peak_rss_mb() -> float:
    """Of this program. Not `ru_maxrss`, which after exec still holds the peak of the process that forked."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise OSError("the kernel does not tell VmHWM")
