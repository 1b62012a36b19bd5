"""Scoring runs over two replicas: killed at seeded moments, taken up again, seen only when whole."""

import asyncio
import contextlib
import json
import os
import random
import signal
import sys
from collections.abc import AsyncIterator
from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest

from services.kernel.work import EVERYTHING, Actor, Cause
from services.portrait.scoring.runs import request_run
from services.portrait.scoring.worker import ScoringWorker
from tests.conftest import PROJECT
from tests.integration.portrait.house import Caller, Portrait, numbers
from tests.integration.portrait.population import LAGGING, curve_batch, shape, store
from tests.integration.portrait.sayings import agreement, archive, last_month
from tests.migrated import PASSWORD

CUSTOMERS, MONTHS = 60, 3
SCORED = """
SELECT customer_id, month, score, band, not_scored_because, scheme_version, shift, peer_group, energy_wh, indicators
FROM portrait.score WHERE run_id = '{}' ORDER BY customer_id, month"""


def months() -> list[date]:
    found = [last_month()]
    while len(found) < MONTHS:
        first = found[0]
        found.insert(0, date(first.year - (first.month == 1), (first.month - 2) % 12 + 1, 1))
    return found


def days_of(first: date) -> int:
    return ((first + timedelta(days=32)).replace(day=1) - first).days


async def populate(portrait: Portrait) -> None:
    rng = np.random.default_rng(20_260_112)
    for n in range(1, CUSTOMERS + 1):
        await portrait.hear(archive(f"C-{n:03}", terms=(agreement(date(2015, 1, 1), kva=400 + 20 * n),)))
        batches = []
        for first in months() if n % 10 else months()[:1]:
            curve = shape(rng, days=days_of(first))
            batches.append(curve_batch(f"UP-{n:03}", first=first, energy_wh=curve))
            if n % 4:
                batches.append(curve_batch(f"UP-{n:03}", first=first, energy_wh=curve // 3, channel=LAGGING))
        await store(portrait, batches)


async def ask(portrait: Portrait, **options: Any) -> str:
    cause = Cause(id=f"ask-{next(numbers)}", source="tests", type="ask")
    async with portrait.database.work(
        role="worker", cause=cause, actor=Actor(person_id="tests"), scope=EVERYTHING
    ) as work:
        return await request_run(work, month=f"{months()[-1]:%Y-%m}", from_month=f"{months()[0]:%Y-%m}", **options)


async def finished(portrait: Portrait, run_id: str) -> bool:
    query = f"SELECT 1 FROM portrait.score_run WHERE run_id = '{run_id}' AND finished_at IS NOT NULL"
    return bool(await portrait.rows(query))


async def done_chunks(portrait: Portrait, run_id: str) -> int:
    query = f"SELECT count(*) FROM portrait.score_chunk WHERE run_id = '{run_id}' AND done_at IS NOT NULL"
    return int((await portrait.rows(query))[0][0])


@contextlib.asynccontextmanager
async def replicas(portrait: Portrait) -> AsyncIterator[list[asyncio.subprocess.Process]]:
    """Two worker processes; all that stand in the list at the end are ended."""
    started = [await replica(portrait, n) for n in range(2)]
    try:
        yield started
    finally:
        for process in started:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


async def replica(portrait: Portrait, number: int) -> asyncio.subprocess.Process:
    environment = {
        "KEYLINE_ENVIRONMENT": "test",
        "KEYLINE_INSTANCE": f"replica-{number}",
        "KEYLINE_DATABASE_HOST": portrait.settings.database_host,
        "KEYLINE_DATABASE_PORT": str(portrait.settings.database_port),
        "KEYLINE_DATABASE_NAME": portrait.settings.database_name,
        "KEYLINE_DATABASE_PASSWORD": PASSWORD,
    }
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.portrait.scoring", "work", cwd=PROJECT, env={**os.environ, **environment}
    )


async def kill_at_seeded_moments(
    portrait: Portrait, run_id: str, processes: list[asyncio.subprocess.Process], *, seed: int
) -> int:
    """Kill a replica whenever a seeded number of chunks is done, replace it, until the run is finished."""
    chance, kills, due = random.Random(seed), 0, 1
    async with asyncio.timeout(120):
        while not await finished(portrait, run_id):
            if await done_chunks(portrait, run_id) >= due and kills < 8:
                await asyncio.sleep(chance.uniform(0, 0.05))
                victim = chance.randrange(len(processes))
                processes[victim].send_signal(signal.SIGKILL)
                await processes[victim].wait()
                kills += not await finished(portrait, run_id)
                processes[victim] = await replica(portrait, 10 + kills)
                due = await done_chunks(portrait, run_id) + chance.randrange(1, 5)
            await asyncio.sleep(0.01)
    return kills


async def months_without_data_keep_the_band_before(portrait: Portrait, run_id: str) -> None:
    """Every tenth customer was measured in the first month only; the later ones are rows without figures."""
    query = (
        "SELECT month, score, band, previous_band, not_scored_because, scheme_version, shift, length(indicators) AS n"
    )
    rows = await portrait.rows(
        f"{query} FROM portrait.score WHERE run_id = '{run_id}' AND customer_id = 'C-010' ORDER BY month"
    )
    assert [r["month"] for r in rows] == [f"{month:%Y-%m}" for month in months()]
    scored, *silent = rows
    assert scored["score"] is not None
    assert (scored["previous_band"], scored["not_scored_because"]) == (None, None)
    assert scored["n"] > 0
    for row in silent:
        assert (row["score"], row["band"], row["previous_band"]) == (None, None, scored["band"])
        assert (row["not_scored_because"], row["scheme_version"], row["shift"], row["n"]) == ("no-data", "", "", 0)


@pytest.mark.parametrize("seed", [7])
async def test_a_run_whose_replicas_are_killed_ends_like_an_undisturbed_one(portrait: Portrait, seed: int) -> None:
    await populate(portrait)
    first = await ask(portrait)
    worker = ScoringWorker(database=portrait.database, holder="undisturbed")
    while await worker.turn():
        pass
    assert await finished(portrait, first)
    undisturbed = [tuple(r) for r in await portrait.rows(SCORED.format(first))]
    assert len(undisturbed) == CUSTOMERS * MONTHS
    assert {r[3] for r in undisturbed} >= {None, "D", "E"}
    await months_without_data_keep_the_band_before(portrait, first)

    second = await ask(portrait, chunk_customers=2)
    async with replicas(portrait) as processes:
        kills = await kill_at_seeded_moments(portrait, second, processes, seed=seed)
    print(f"seed {seed}: {kills} kills while the run was under way")
    assert kills >= 4, "the run ended before it was disturbed enough; use smaller chunks"
    assert [tuple(r) for r in await portrait.rows(SCORED.format(second))] == undisturbed
    peers = (
        "SELECT month, peer_group, peers, withheld_because, scores FROM portrait.score_peer_group WHERE run_id = '{}'"
    )
    one, other = [sorted(map(str, await portrait.rows(peers.format(run)))) for run in (first, second)]
    assert one == other
    workers = await portrait.rows(f"SELECT DISTINCT done_by FROM portrait.score_chunk WHERE run_id = '{second}'")
    assert len(workers) > 1
    told = [e for e in await portrait.said("efficiency-scored") if e["run_id"] == second]
    assert sorted(e["customer_id"] for e in told) == [f"C-{n:03}" for n in range(1, CUSTOMERS + 1)]
    assert {e["month"] for e in told} == {f"{months()[-1]:%Y-%m}"}


async def test_results_are_seen_when_the_run_is_whole_and_earlier_ones_stay_addressable(portrait: Portrait) -> None:
    rng, month = np.random.default_rng(3), f"{last_month():%Y-%m}"
    for n in range(1, 10):
        await portrait.hear(archive(f"C-{n}"))
        await store(
            portrait, [curve_batch(f"UP-{n}", first=last_month(), energy_wh=shape(rng, days=days_of(last_month())))]
        )
    await portrait.grant("analyst", "analyst", kind="everything")
    await portrait.grant("chief", "department-head", kind="everything")
    await portrait.grant("contact", "customer-contact", kind="owner", scope_id="C-1")
    async with portrait.served() as call:
        _, first = await call("POST", f"/scores/{month}", by="analyst")
        status, run = await call("GET", f"/score-runs/{first['run_id']}", by="analyst")
        assert (status, run["share_done"], run["published_at"]) == (200, 0, None)
        assert (await call("GET", f"/customers/C-1/scores/{month}", by="contact"))[0] == 404
        await worked(portrait, call, first["run_id"])
        _, explained = await call("GET", f"/customers/C-1/scores/{month}", by="contact")
        assert explained["score"]["run_id"] == first["run_id"]
        assert (explained["peers"]["group"], explained["shift_status"]) == ("C31-S3", "proposed")
        assert {p["without_saving_because_en"] for p in explained["weak_points"]} <= {
            "the peak price is missing", "the demand price is missing", "the capacity price is missing",
            "the power factor standard is missing", "no formula turns this indicator into money",
        }  # fmt: skip
        assert {n["indicator"] for n in explained["not_available"]} >= {"thd_u", "unit_consumption"}
        await scheme_by_two_people(call)
        _, trial = await call("POST", f"/scores/{month}?trial=true", by="analyst")
        await worked(portrait, call, trial["run_id"])
        assert (await call("GET", f"/customers/C-1/scores/{month}", by="contact"))[1] == explained
        _, tried = await call("GET", f"/customers/C-1/scores/{month}?run_id={trial['run_id']}", by="chief")
        assert tried["scheme_version"].startswith("company-2/")
        assert len(await portrait.said("efficiency-scored")) == 9
        _, alone = await call("POST", f"/customers/C-1/scores/{month}", by="chief")
        await worked(portrait, call, alone["run_id"])
        _, now = await call("GET", f"/customers/C-1/scores/{month}", by="contact")
        assert (now["score"]["run_id"], now["score"]["score"]) == (alone["run_id"], tried["score"]["score"])
        assert now["peers"]["peers"] == explained["peers"]["peers"]
        _, other = await call("GET", f"/customers/C-2/scores/{month}", by="chief")
        assert other["score"]["run_id"] == first["run_id"]
        _, page = await call("GET", f"/score-runs/{first['run_id']}/scores", by="chief")
        assert [row["customer_id"] for row in page] == [f"C-{n}" for n in range(1, 10)]
        await shift_confirmed_by_the_customer(portrait, call, month)
        await disputed(portrait, call, month, now["score"])
        await weights_proposed(call, month)


async def worked(portrait: Portrait, call: Caller, run_id: str) -> None:
    async with portrait.working(), asyncio.timeout(20):
        while True:
            _, run = await call("GET", f"/score-runs/{run_id}", by="analyst")
            if run["finished_at"]:
                assert run["share_done"] == 1
                return
            await asyncio.sleep(0.05)


async def scheme_by_two_people(call: Caller) -> None:
    document = json.loads((PROJECT / "services/portrait/data/score_scheme_demo.json").read_text())
    document = {k: document[k] for k in ("status", "effective_from", "effective_to", "thresholds", "weights",
        "minimum_completeness", "minimum_weight")}  # fmt: skip
    document["thresholds"]["load_factor"] = [[0.0, 0], [1.0, 100]]
    body = {"version": "company-1", "scope_kind": "company", "source": "内部文件〔2026〕1号", "document": document}
    broken = {**body, "document": {**document, "weights": [{"name": "x", "industries": [""], "weights": {"thd_u": 1}}]}}
    status, problem = await call("POST", "/score-documents/scheme", by="chief", body=broken)
    assert (status, problem["field"]) == (422, "document")
    assert (await call("POST", "/score-documents/scheme", by="chief", body=body))[0] == 201
    assert (await call("POST", "/score-documents/scheme", by="analyst", body=body))[0] == 409
    assert (await call("POST", "/score-documents/scheme/company-1/confirm", by="analyst"))[0] == 403
    status, problem = await call("POST", "/score-documents/scheme/company-1/confirm", by="chief")
    assert (status, problem["title"]) == (403, "self-approval")
    await call("POST", "/score-documents/scheme", by="analyst", body={**body, "version": "company-2"})
    assert (await call("POST", "/score-documents/scheme/company-2/confirm", by="chief"))[0] == 200
    _, known = await call("GET", "/score-documents/scheme", by="analyst")
    assert {d["version"]: d["status"] for d in known} == {"company-1": "entered", "company-2": "confirmed"}


async def shift_confirmed_by_the_customer(portrait: Portrait, call: Caller, month: str) -> None:
    _, seen = await call("GET", f"/customers/C-1/shift?month={month}", by="contact")
    assert seen["status"] == "proposed"
    assert seen["proposed_shift"] is not None
    body = {"from_month": month, "shift": "continuous", "shutdown_days": [str(last_month())]}
    assert (await call("POST", "/customers/C-1/shift", by="analyst", body=body))[0] == 403
    assert (await call("POST", "/customers/C-2/shift", by="contact", body=body))[0] == 404
    status, seen = await call("POST", "/customers/C-1/shift", by="contact", body=body)
    assert (status, seen["status"], seen["confirmed_shift"]) == (200, "confirmed", "continuous")
    _, run = await call("POST", f"/customers/C-1/scores/{month}", by="chief")
    await worked(portrait, call, run["run_id"])
    _, now = await call("GET", f"/customers/C-1/scores/{month}", by="contact")
    assert (now["shift"], now["shift_status"]) == ("continuous", "confirmed")


async def disputed(portrait: Portrait, call: Caller, month: str, score: dict[str, Any]) -> None:
    body = {"run_id": score["run_id"], "ground": "wrong-data", "indicators": ["load_factor"]}
    path = f"/customers/C-1/scores/{month}/disputes"
    assert (await call("POST", path, by="analyst", body=body))[0] == 403
    assert (await call("POST", path, by="contact", body={**body, "indicators": ["thd_u"]}))[0] == 422
    status, dispute = await call("POST", path, by="contact", body=body)
    assert status == 201
    (told,) = await portrait.said("score-disputed")
    assert told == dispute["evidence"]
    assert (told["score"], told["run_id"], told["disputed_by"]) == (score["score"], score["run_id"], "contact")
    assert {s["indicator"] for s in told["sub_scores"]} == {s["indicator"] for s in score["sub_scores"]}
    _, kept = await call("GET", "/customers/C-1/disputes", by="chief")
    assert [d["dispute_id"] for d in kept] == [dispute["dispute_id"]]
    assert (await call("GET", "/customers/C-2/disputes", by="contact"))[0] == 404


async def weights_proposed(call: Caller, month: str) -> None:
    body = {
        "month": month, "indicators": ["load_factor", "peak_valley_diff_rate", "valley_share"],
        "judgements": [[1, 2, 4], [0.5, 1, 3], [0.25, 1 / 3, 1]],
    }  # fmt: skip
    status, found = await call("POST", "/score-analysis/weights", by="analyst", body=body)
    assert (status, found["kind"], found["consistent"]) == (200, "analysis", True)
    assert found["judged_weights"] == pytest.approx([0.5584, 0.3196, 0.1220], abs=5e-5)
    assert sum(found["combined_weights"]) == pytest.approx(1)
    assert found["topsis_rank_agreement"] is not None
    circle = {**body, "judgements": [[1, 2, 4], [2, 1, 3], [4, 3, 1]]}
    status, problem = await call("POST", "/score-analysis/weights", by="analyst", body=circle)
    assert (status, problem["field"]) == (422, "judgements")
