"""The file door: what it takes comes back as events; what is wrong is named by line and field, and nothing enters."""

import asyncio
import json
import os
import sys
from pathlib import Path

from tests.conftest import PROJECT
from tests.kernel.echo import Said
from tests.kernel.house import EchoHouse


async def _hand_in(house: EchoHouse, file: Path, *options: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.kernel.echo", "door", str(file), *options,
        env={**os.environ, **house.environment()}, cwd=PROJECT,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, errors = await process.communicate()
    return process.returncode or 0, out.decode(), errors.decode()


def _line(words: str, **more: object) -> str:
    return json.dumps({"type": Said.TYPE, "data": {"customer_id": "C1", "words": words, **more}}) + "\n"


async def test_a_file_enters_whole_or_not_at_all_and_twice_as_once(echo: EchoHouse, tmp_path: Path) -> None:
    bad = tmp_path / "bad.jsonl"
    bad.write_text(_line("one") + "\n" + _line("two", extra=1) + "no json\n")
    status, _, errors = await _hand_in(echo, bad)
    assert status == 1
    assert "第 3 行" in errors and "line 3.data.extra" in errors and "Line 4" in errors
    assert "没有接收任何事件" in errors and "Nothing was taken" in errors
    assert await echo.rows("SELECT count(*) FROM echo.outbox") == [(0,)]

    good = tmp_path / "good.jsonl"
    good.write_text("".join(_line(f"line {n}") for n in range(600)))
    status, out, errors = await _hand_in(echo, good)
    assert (status, json.loads(out)) == (0, {"accepted": {"echo-said": 600}}), errors
    await echo.until("SELECT count(*) FROM echo.heard", lambda rows: rows[0][0] == 600)
    assert (await _hand_in(echo, good))[0] == 0
    table = tmp_path / "said.csv"
    table.write_text("customer_id,words\nC2,from a table\n")
    assert (await _hand_in(echo, table, "--type", Said.TYPE))[0] == 0
    await echo.until("SELECT count(*) FROM echo.heard WHERE customer_id = 'C2'", lambda rows: rows[0][0] == 1)
    assert await echo.rows("SELECT count(*), count(DISTINCT words) FROM echo.heard") == [(601, 601)]


async def test_a_file_of_an_event_that_the_service_does_not_relay_is_refused(echo: EchoHouse, tmp_path: Path) -> None:
    table = tmp_path / "said.csv"
    table.write_text("customer_id,words\nC2,x\n")
    status, _, errors = await _hand_in(echo, table)
    assert status == 1 and Said.TYPE in errors
    assert (await _hand_in(echo, tmp_path / "missing.csv", "--type", Said.TYPE))[0] == 1
