"""Where the figures come from: processor, memory, disk and versions, written beside every ratio."""

import os
import platform
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import asyncpg

from bench.stack import PROJECT, Stack

LIBRARIES = ("aiokafka", "asyncpg", "faststream", "msgspec", "numpy", "pydantic", "sqlalchemy")
SETTINGS = ("server_version", "fsync", "synchronous_commit", "full_page_writes", "shared_buffers", "max_wal_size")


async def describe(stack: Stack) -> dict[str, Any]:
    admin = await asyncpg.connect(stack.postgres.superuser_dsn)
    try:
        postgres = {name: await admin.fetchval(f"SHOW {name}") for name in SETTINGS}
    finally:
        await admin.close()
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
        "load_before": round(os.getloadavg()[0], 2),
        "fdatasync_per_s": _fdatasync_rate(),
        "python": platform.python_version(),
        "broker": _broker(stack),
        "postgres": postgres,
        "libraries": {name: version(name) for name in LIBRARIES},
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _broker(stack: Stack) -> str | None:
    if stack.broker_kind != "kafka":
        return stack.broker_kind
    jars = sorted((PROJECT / "var" / "kafka" / "lib").glob("kafka-clients-*.jar"))
    return f"Apache Kafka {jars[0].stem.rsplit('-', 1)[1]}" if jars else "Apache Kafka"


def _fdatasync_rate(*, writes: int = 200) -> int:
    """Writes of 8 kB made durable one after the other, per second."""
    with tempfile.NamedTemporaryFile() as file:
        begun = time.perf_counter()
        for _ in range(writes):
            os.pwrite(file.fileno(), b"x" * 8192, 0)
            os.fdatasync(file.fileno())
        return round(writes / (time.perf_counter() - begun))
