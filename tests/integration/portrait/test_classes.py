"""Class rules with two persons, borders frozen once a month, why a customer moved, targets, what-if and segments."""

import asyncio
import json
import time
from datetime import timedelta
from decimal import Decimal
from typing import Any

from services.contracts import marketing
from services.kernel.work import EVERYTHING, Actor, Cause
from services.portrait.classes.freezing import freeze_month
from services.portrait.customers.happenings import reassess_all
from services.portrait.reference_data import shipped
from tests.integration.portrait.house import NOW, Caller, Portrait, numbers
from tests.integration.portrait.sayings import archive, bill, complaint


def rules(version: str, *, days_ahead: int = 1, **thresholds: float) -> dict[str, Any]:
    document = shipped("class_rules_demo")
    begin = (NOW + timedelta(hours=8)).date() + timedelta(days=days_ahead)
    return {
        **document,
        "version": version,
        "effective_from": begin.isoformat(),
        "thresholds": {**document["thresholds"], **thresholds},
    }


async def bills_of(portrait: Portrait, count: int) -> None:
    """Customers C-1.. with one bill of number x 1,000 yuan each."""
    for n in range(1, count + 1):
        bill_n = bill(f"B-{n}", yuan=n * 1_000).model_copy(update={"account_id": f"A-{n}"})
        await portrait.hear(archive(f"C-{n}"), bill_n)


async def test_rules_need_a_second_person_and_a_day_to_come(portrait: Portrait) -> None:
    for person in ("E-1", "E-2"):
        await portrait.grant(person, "department-head", kind="everything")
    async with portrait.served() as caller:
        assert (await caller("POST", "/class-rules", body=rules("mine-1"), by="E-1"))[0] == 201
        status, problem = await caller("POST", "/class-rules", body=rules("mine-1"), by="E-2")
        assert (status, problem["field"]) == (409, "version")
        status, problem = await caller("POST", "/class-rules", body=rules("mine-0", days_ahead=0), by="E-1")
        assert (status, problem["field"]) == (422, "effective_from")
        wrong = rules("mine-2")
        wrong["targets"] = {**wrong["targets"], "weights": {"penalty_bill_share": 1.0}}
        status, problem = await caller("POST", "/class-rules", body=wrong, by="E-1")
        assert (status, problem["field"]) == (422, "targets.weights")
        assert (await caller("POST", "/class-rules/mine-1/confirmation", by="E-1"))[0] == 403
        assert (await caller("POST", "/class-rules/mine-1/confirmation", by="E-2"))[0] == 204
        assert (await caller("POST", "/class-rules/mine-1/confirmation", by="E-2"))[0] == 409
        status, said = await caller("GET", "/class-rules", by="E-1")
    assert said["version"] == "demo-2", "the new version begins tomorrow"
    assert [(line["version"], line["confirmed_by"]) for line in said["entered"]] == [("mine-1", "E-2")]


async def test_a_confirmed_version_moves_customers_on_its_first_day_and_says_which_criterion_turned(
    portrait: Portrait,
) -> None:
    await portrait.grant("E-1", "department-head", kind="everything")
    await portrait.hear(archive(), bill("B-1", yuan=50_000))
    assert (await portrait.profile())["classes"] == []
    document = rules("mine-1", contribution_bill_yuan_at_least=50_000)
    await portrait.rows(
        "INSERT INTO portrait.class_document (version, effective_from, document, note, entered_by, entered_at,"
        f" confirmed_by, confirmed_at) VALUES ('mine-1', current_date - 1, '{json.dumps(document)}', 'test', 'E-1',"
        " now(), 'E-2', now())"
    )
    await recompute(portrait, ["C-1"])
    assert (await portrait.profile())["classes"] == ["high-contribution"]
    async with portrait.served() as caller:
        _, (change,) = await caller("GET", "/customers/C-1/memberships", by="E-1")
    assert (change["class_name"], change["entered"], change["rule_version"]) == ("high-contribution", True, "mine-1")
    (turned,) = [c for c in change["because"] if c["code"] == "avg_monthly_bill_yuan"]
    assert (turned["value_before"], turned["value"]) == (50_000, 50_000)
    assert (turned["threshold_before"], turned["threshold"], turned["holds"]) == (60_000, 50_000, True)


async def test_borders_are_frozen_once_a_month_over_twenty_customers_and_then_stand(portrait: Portrait) -> None:
    await bills_of(portrait, 19)
    assert not await freeze(portrait), "nineteen customers are too few for a percentile"
    await portrait.hear(archive("C-20"), bill("B-20", yuan=20_000).model_copy(update={"account_id": "A-20"}))
    assert await freeze(portrait)
    assert not await freeze(portrait), "frozen for this month"
    (row,) = await portrait.rows("SELECT customers, thresholds FROM portrait.class_percentile")
    border = json.loads(row["thresholds"])["contribution_bill_yuan_at_least"]
    assert (row["customers"], border) == (20, 17_000), "16 of 20 lie below the border: it is the 80th percentile"
    await recompute(portrait, [f"C-{n}" for n in range(1, 21)])
    high = await portrait.rows("SELECT customer_id FROM portrait.profile WHERE 'high-contribution' = ANY (classes)")
    assert {r["customer_id"] for r in high} == {"C-17", "C-18", "C-19", "C-20"}
    await portrait.hear(bill("B-21", yuan=900_000).model_copy(update={"account_id": "A-1"}))
    moved = await portrait.rows("SELECT customer_id FROM portrait.profile WHERE 'high-contribution' = ANY (classes)")
    assert {r["customer_id"] for r in moved} - {r["customer_id"] for r in high} == {"C-1"}, "one event, one customer"


async def test_target_customers_leave_out_the_vetoed_and_name_them(portrait: Portrait) -> None:
    await portrait.grant("E-1", "department-head", kind="everything")
    await bills_of(portrait, 3)
    owed = marketing.ArrearsOpened(account_id="A-2", bill_id="B-2", amount_yuan=Decimal(2000), since=NOW.date())
    await portrait.hear(owed)
    async with portrait.served() as caller:
        status, found = await caller("GET", "/target-customers", by="E-1")
        assert status == 200
        assert [c["customer_id"] for c in found["listed"]] == ["C-1"], "a tenth of three customers is one place"
        assert {c["customer_id"]: c["vetoes"] for c in found["vetoed"]} == {"C-2": ["arrears-open"]}
        paid = marketing.ArrearsCleared(account_id="A-2", bill_id="B-2", cleared_at=NOW)
        await portrait.hear(paid)
        assert (await caller("GET", "/target-customers", by="E-1"))[1]["vetoed"] == []


async def test_a_what_if_says_who_would_move_and_moves_nobody(portrait: Portrait) -> None:
    await portrait.grant("E-1", "department-head", kind="everything")
    await bills_of(portrait, 5)
    await portrait.hear(complaint())
    async with portrait.served() as caller, portrait.working():
        asked = {"contribution_bill_yuan_at_least": 4_000, "complaint_rate_at_least": 1.0, "service_rate_at_least": 9}
        status, run = await caller("POST", "/analyses/what-if", body=asked, by="E-1")
        assert status == 202
        result = (await finished(caller, run["run_id"]))["result"]
        lines = (await caller("GET", f"/analyses/{run['run_id']}/lines", by="E-1"))[1]["items"]
    assert (result["customers"], result["moved"]) == (5, 2)
    assert result["classes"]["high-contribution"] == {"before": 0, "after": 2, "enter": 2, "leave": 0}
    assert [line["customer_id"] for line in lines] == ["C-4", "C-5"]
    assert (await portrait.profile("C-5"))["classes"] == []


async def test_segments_are_repeatable_and_leave_the_classes_alone(portrait: Portrait) -> None:
    await portrait.grant("E-1", "department-head", kind="everything")
    await bills_of(portrait, 4)
    grades: list[marketing.ImportanceGrade] = ["special", "special", "none", "none"]
    await portrait.hear(*[archive(f"C-{n}", version=2, grade=g) for n, g in enumerate(grades, 1)], complaint())
    before = await portrait.rows("SELECT customer_id, classes FROM portrait.profile ORDER BY 1")
    async with portrait.served() as caller, portrait.working():
        runs = [(await caller("POST", "/analyses/segments", body={"seed": 7}, by="E-1"))[1]["run_id"] for _ in "ab"]
        results = [(await finished(caller, run_id))["result"] for run_id in runs]
        lines = (await caller("GET", f"/analyses/{runs[0]}/lines", by="E-1"))[1]["items"]
    assert results[0] == results[1]
    assert sum(s["customers"] for s in results[0]["segments"]) == 4
    assert all(-1 <= value <= 1 for value in results[0]["silhouettes"].values())
    of = {line["customer_id"]: line["segment"] for line in lines}
    assert of["C-2"] == of["C-3"] == of["C-4"] != of["C-1"], "the one that complained stands far from the others"
    assert await portrait.rows("SELECT customer_id, classes FROM portrait.profile ORDER BY 1") == before


async def finished(caller: Caller, run_id: str) -> dict[str, Any]:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        _, run = await caller("GET", f"/analyses/{run_id}", by="E-1")
        if run["finished_at"]:
            return dict(run)
        await asyncio.sleep(0.1)
    raise AssertionError("the analysis was not executed in 20 s")


async def freeze(portrait: Portrait) -> bool:
    cause, actor = Cause(id=f"f{next(numbers)}", source="tests", type="freeze"), Actor(person_id="system:portrait")
    async with portrait.database.work(role="worker", cause=cause, actor=actor, scope=EVERYTHING) as work:
        return await freeze_month(work)


async def recompute(portrait: Portrait, customer_ids: list[str]) -> None:
    cause, actor = Cause(id=f"r{next(numbers)}", source="tests", type="full"), Actor(person_id="system:portrait")
    async with portrait.database.work(role="worker", cause=cause, actor=actor, scope=EVERYTHING) as work:
        await reassess_all(work, customer_ids=customer_ids)
