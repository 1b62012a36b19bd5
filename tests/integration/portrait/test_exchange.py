"""Files in and out over HTTP: parts, progress, every row accounted for, and back again as the same readings."""

import asyncio
import hashlib
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from msgspec import structs

from services.contracts.metering import IntervalBlockRecorded
from services.kernel.broker import Record
from services.kernel.jobs import JobRunner
from services.portrait.exchange.__main__ import arguments, hand_over
from services.portrait.exchange.imports import PART_BYTES
from services.portrait.manifest import SERVICE
from tests.integration.portrait.house import Caller, Portrait
from tests.integration.portrait.metering_sayings import TODAY, curve, run_job
from tests.integration.portrait.sayings import archive

DAY = TODAY - timedelta(days=3)


async def send(call: Caller, content: bytes, *, name: str = "curves.csv", by: str = "publisher", **hints: Any) -> str:
    body = {"file_name": name, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest(), **hints}
    status, opened = await call("POST", "/imports", by=by, body=body)
    assert status == 201, opened
    for n in range(opened["parts"]):
        part = content[n * PART_BYTES : (n + 1) * PART_BYTES]
        status, taken = await call("PUT", f"/imports/{opened['import_id']}/parts/{n + 1}", by=by, body=part)
        assert (status, taken["parts_missing"]) == (200, opened["parts"] - n - 1)
    return str(opened["import_id"])


async def relayed(portrait: Portrait) -> list[Record]:
    """What the relay would put on the topic, as the consumer gets it; each row once."""
    rows = await portrait.rows(
        "WITH sent AS (DELETE FROM portrait.outbox WHERE topic = 'metering-readings' RETURNING *)"
        " SELECT * FROM sent ORDER BY aggregateid, version"
    )
    made = [portrait.record(IntervalBlockRecorded.from_wire(row["payload"])) for row in rows]
    return [structs.replace(record, value=row["payload"]) for record, row in zip(made, rows, strict=True)]


async def blocks(portrait: Portrait) -> list[tuple[Any, ...]]:
    rows = await portrait.rows(
        "SELECT usage_point_id, channel, day, step_minutes, values, quality, customer_id, present, estimated"
        " FROM portrait.interval_block ORDER BY 1, 2, 3, 4"
    )
    return [tuple(row) for row in rows]


async def test_a_file_is_taken_in_parts_and_every_row_is_a_reading_or_a_reported_error(portrait: Portrait) -> None:
    await portrait.hear(archive())
    await portrait.grant("publisher", "data-publisher", kind="none")
    await portrait.grant("other", "data-publisher", kind="none")
    await portrait.grant("contact", "customer-contact", kind="owner", scope_id="C-1")
    lines = ["计量点,开始时间,正向有功(kWh),正向无功(kvarh)"]
    lines += [f"UP-1,{DAY} {h:02}:{m:02},{h}.5,{m}" for h in range(24) for m in (0, 15, 30, 45)]
    lines[5] = f"UP-1,{DAY} 01:00,abc,7"
    lines += [f"UP-9,{DAY} 01:00,1,1", f"UP-1,{date(1999, 1, 1)} 00:00,1,1", "," * 3]
    content = "\n".join(lines).encode("gb18030")
    async with portrait.served() as call:
        assert (await call("POST", "/imports", by="contact", body={}))[0] == 403
        status, problem = await call("POST", "/imports", by="publisher", body={"file_name": "../x", "bytes": 1})
        assert (status, problem["title"]) == (422, "invalid-input")
        import_id = await send(call, content)
        status, problem = await call("PUT", f"/imports/{import_id}/parts/1", by="publisher", body=b"x" * len(content))
        assert (status, problem["field"]) == (409, "part")
        assert (await call("GET", f"/imports/{import_id}", by="other"))[0] == 404
        await run_job(portrait, "read-imports")
        _, report = await call("GET", f"/imports/{import_id}", by="publisher")
        _, errors = await call("GET", f"/imports/{import_id}/errors", by="publisher")
        # The unit cannot be seen: asked for, then answered.
        unasked = await send(call, b"usage_point,start,step_minutes,active_import\nUP-1,2026-01-01,15,1\n")
        await run_job(portrait, "read-imports")
        _, refused = await call("GET", f"/imports/{unasked}", by="publisher")
    assert (report["state"], report["file_format"]) == ("done", "csv")
    assert (report["readings"], report["errors"], report["items_done"]) == (193, 3, 196)
    assert [(e["row"], e["column"], e["text"], e["code"]) for e in errors["items"]][:1] == [
        (6, "正向有功(kwh)", "abc", "bad-number")
    ]
    assert sorted(e["code"] for e in errors["items"]) == ["bad-number", "implausible-time", "implausible-time"]
    assert all(e["reason_zh"] and e["reason_en"] for e in errors["items"])
    assert (refused["state"], refused["refused_field"]) == ("refused", "unit")
    assert refused["refused_zh"].startswith("文件没有说明单位")
    assert not await portrait.rows("SELECT 1 FROM portrait.interval_block")  # no side door
    assert not await portrait.read_in_bulk(*await relayed(portrait))
    found = await portrait.rows(
        "SELECT usage_point_id, customer_id, channel, present, total FROM portrait.interval_block"
    )
    assert sorted(tuple(r) for r in found) == [
        ("UP-1", "C-1", 1, 95, sum(4 * (h * 1000 + 500) for h in range(24)) - 1_500),
        ("UP-1", "C-1", 3, 96, 24 * 90_000 + 7_000), ("UP-9", None, 1, 1, 1_000), ("UP-9", None, 3, 1, 1_000),
    ]  # fmt: skip


async def test_an_import_that_was_cut_off_goes_on_where_it_stopped(portrait: Portrait) -> None:
    await portrait.grant("publisher", "data-publisher", kind="none")
    days = [TODAY - timedelta(days=n) for n in range(1, 46)]
    header = "计量点,日期,单位,通道," + ",".join(f"p{n}" for n in range(1, 25))
    rows = [f"UP-{p},{day},kWh,正向有功," + ",".join(["1"] * 24) for p in range(50) for day in days]
    content = "\n".join([header, *rows]).encode()
    async with portrait.served() as call:
        import_id = await send(call, content)
        (job,) = [j for j in SERVICE.jobs if j.name == "read-imports"]
        runner = JobRunner(jobs=(), database=portrait.database, holder="dies")
        run = await runner._claim(replace(job, every=timedelta(0)))
        assert run is not None

        async def dies() -> None:
            await job.run(run)

        dying = asyncio.create_task(dies())
        done = 0
        while not done and not dying.done():
            await asyncio.sleep(0.01)
            ((done,),) = [tuple(r) for r in await portrait.rows("SELECT items_done FROM portrait.import_file")]
        dying.cancel()
        await asyncio.gather(dying, return_exceptions=True)
        ((half,),) = [tuple(r) for r in await portrait.rows("SELECT items_done FROM portrait.import_file")]
        assert 0 < half < len(rows) * 24
        await portrait.rows("UPDATE portrait.job_lease SET expires_at = NULL")
        await run_job(portrait, "read-imports")
        _, report = await call("GET", f"/imports/{import_id}", by="publisher")
    assert (report["state"], report["readings"], report["errors"]) == ("done", len(rows) * 24, 0)
    records = await relayed(portrait)
    said = [IntervalBlockRecorded.from_wire(r.value or b"") for r in records]
    assert len(records) == report["events"]
    assert sum(v is not None for e in said for v in e.values) == len(rows) * 24
    assert len({(e.usage_point_id, e.start + timedelta(hours=n)) for e in said for n in range(len(e.values))}) == (
        len(rows) * 24
    )


async def test_what_a_customer_exports_is_imported_as_the_same_readings(portrait: Portrait) -> None:
    await portrait.hear(archive("C-1"), archive("C-2"))
    values = [None if n % 7 == 0 else n * 1_000 - 3 for n in range(96)]
    qualities = tuple("estimated" if n % 5 == 0 else "questionable" if n % 11 == 0 else "measured" for n in range(96))
    said = [
        curve(portrait, DAY, values, step=15, quality=qualities),
        curve(portrait, DAY, [5] * 96, step=15, point="UP-2"),
    ]
    said += [
        curve(portrait, DAY + timedelta(n), [n] * 24, channel=channel)
        for n, channel in enumerate(("active-export", "reactive-lagging", "reactive-leading"))
    ]
    said.append(curve(portrait, DAY + timedelta(1), [7] * 48, step=30, quality="manual"))
    await portrait.read_in_bulk(*said)
    await portrait.grant("contact", "customer-contact", kind="owner", scope_id="C-1")
    await portrait.grant("analyst", "analyst", kind="everything")
    await portrait.grant("publisher", "data-publisher", kind="none")
    own = [b for b in await blocks(portrait) if b[6] == "C-1"]
    query = f"from_day={DAY}&to_day={TODAY}"
    async with portrait.served() as call:
        for name in ("readings.csv", "readings.espi.xml"):
            path = f"/customers/C-1/{name}?{query}"
            status, text = await call("GET", path, by="contact")
            assert status == 200
            assert "UP-2" not in text
            assert (await call("GET", path.replace("C-1", "C-2"), by="contact"))[0] == 404
            assert (await call("GET", path, by="analyst"))[0] == 403
            await portrait.rows("DELETE FROM portrait.interval_block WHERE usage_point_id = 'UP-1'")
            await send(call, text.encode(), name=name)
            await run_job(portrait, "read-imports")
            assert not await portrait.read_in_bulk(*await relayed(portrait))
            assert [b for b in await blocks(portrait) if b[6] == "C-1"] == own
    audited = await portrait.rows("SELECT actor, owner_id FROM portrait.audit WHERE action = 'readings-exported'")
    assert [tuple(r) for r in audited] == [("contact", "C-1")] * 2


async def test_the_command_line_hands_a_file_over_and_tells_what_was_not_taken(
    portrait: Portrait, tmp_path: Path, capsys: Any
) -> None:
    file = tmp_path / "x.csv"
    file.write_text(f"start,active_import_kwh\n{DAY} 00:00,1\n{DAY} 00:30,x\n", encoding="utf-8")
    options = arguments([str(file), "--usage-point-id", "UP-1", "--step-minutes", "30", "--every", "0.1"])
    handed = asyncio.create_task(hand_over(options, portrait.settings))
    while not handed.done():
        await run_job(portrait, "read-imports")
        await asyncio.sleep(0.05)
    assert await handed == 1
    printed = capsys.readouterr().out
    assert "done: 行 rows 3, 读数 readings 1, 错误 errors 1" in printed
    assert "row 3\tactive_import_kwh\tx\t数值无法识别 the number cannot be read" in printed
    assert len(await relayed(portrait)) == 1
