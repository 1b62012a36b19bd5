"""Finding, telling and handing out customers over HTTP: search, timeline, groups, visit brief, filters, assignments."""

import csv
import io
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from pypdf import PdfReader

from services.contracts import marketing
from services.contracts.inspection import HazardClosed, HazardFound
from tests.integration.portrait.house import NOW, Portrait
from tests.integration.portrait.sayings import archive, bill, complaint, fault, hazard, restored, touching


def known_as(customer_id: str, name: str, *, former: tuple[str, ...] = (), group: str | None = None) -> Any:
    plain = archive(customer_id)
    points = tuple(p.model_copy(update={"meter_id": f"M-{customer_id}-88"}) for p in plain.usage_points)
    return plain.model_copy(update={"name": name, "former_names": former, "group_id": group, "usage_points": points})


async def test_a_customer_is_found_by_whatever_somebody_remembers_and_only_in_scope(portrait: Portrait) -> None:
    await portrait.grant("E-1", "account-manager", kind="everything")
    await portrait.grant("E-2", "account-manager", kind="area", scope_id="area-2")
    await portrait.hear(known_as("C-1", "重庆长安汽车", former=("江陵机器厂",)), known_as("C-2", "北碚纺织100%"))
    wanted = {
        "C-1": "customer", "a-1": "account", "up-1": "usage-point", "M-C-1-8": "meter", "长安": "name",
        "江陵": "former-name", "工业路": "address", "cqca": "initials",
    }  # fmt: skip
    async with portrait.served() as caller:
        for words, kind in wanted.items():
            _, found = await caller("GET", f"/search?q={words}", by="E-1")
            first = found[0]
            assert (first["customer_id"], kind in first["found_by"]) == ("C-1", True), words
        assert await caller("GET", "/search?q=长安", by="E-2") == (200, []), "another area's customer"
        _, percent = await caller("GET", "/search?q=100%25", by="E-1")
        assert [f["customer_id"] for f in percent] == ["C-2"], "a percent sign is no wildcard"
        status, problem = await caller("GET", "/search?q=%20", by="E-1")
        assert (status, problem["field"]) == (422, "q")


async def test_the_timeline_is_paged_newest_first_and_hides_from_the_customer_what_is_internal(
    portrait: Portrait,
) -> None:
    await portrait.grant("E-1", "account-manager", kind="everything")
    await portrait.grant("P-1", "customer-contact", kind="owner", scope_id="C-1")
    theft = marketing.ViolationRecorded(account_id="A-1", violation_id="V-1", kind="theft", occurred_on=NOW.date())
    await portrait.hear(
        archive(), bill("B-1", yuan=90_000), complaint(), theft,
        hazard(HazardFound, version=1, status="found"), hazard(HazardClosed, version=2, status="closed"),
        fault("O-1", days_ago=3, affected=touching("C-1")),
        restored("O-1", days_ago=3, hours=2, affected=touching("C-1")),
        marketing.ArrearsOpened(account_id="A-1", bill_id="B-1", amount_yuan=Decimal(90_000), since=NOW.date()),
    )  # fmt: skip
    async with portrait.served() as caller:
        _, first = await caller("GET", "/customers/C-1/timeline?limit=4", by="E-1")
        _, rest = await caller("GET", f"/customers/C-1/timeline?before={first['next_before']}", by="E-1")
        items = [*first["items"], *rest["items"]]
        moments = [datetime.fromisoformat(i["at"]) for i in items]
        assert moments == sorted(moments, reverse=True)
        of = {i["kind"]: i["facts"] for i in items}
        assert {"bill", "ticket", "violation", "hazard", "outage", "arrears", "class"} == set(of)
        assert of["hazard"]["status"] == "closed"
        assert of["ticket"] == {"complaint": True, "answered_late": False}
        _, own = await caller("GET", "/customers/C-1/timeline", by="P-1")
        assert {i["kind"] for i in own["items"]} == {"bill", "ticket", "hazard", "outage", "arrears"}
        assert [i["facts"] for i in own["items"] if i["kind"] == "ticket"] == [{}]
        _, narrow = await caller("GET", "/customers/C-1/timeline?kind=violation", by="P-1")
        assert narrow["items"] == [], "asking by name does not help"
        status, problem = await caller("GET", "/customers/C-1/timeline?before=nonsense", by="E-1")
        assert (status, problem["field"]) == (422, "before")


async def test_a_group_rolls_up_the_members_in_scope(portrait: Portrait) -> None:
    await portrait.grant("E-1", "account-manager", kind="everything")
    await portrait.grant("E-2", "account-manager", kind="area", scope_id="area-2")
    await portrait.hear(*[known_as(f"C-{n}", f"成员{n}", group="G-1" if n < 3 else None) for n in (1, 2, 3)])
    await portrait.hear(bill("B-1", yuan=90_000), hazard(HazardFound, version=1, status="found"))
    async with portrait.served() as caller:
        _, all_of_it = await caller("GET", "/groups/G-1", by="E-1")
        assert (all_of_it["customer_ids"], Decimal(all_of_it["contract_capacity_kva"])) == (
            ["C-1", "C-2"],
            Decimal(2000),
        )
        assert (all_of_it["classes"], all_of_it["open_hazards"]) == ({"high-contribution": 1}, 1)
        assert all_of_it["highest_attention_level"] == 3
        assert (await caller("GET", "/groups/G-1", by="E-2"))[1]["customer_ids"] == ["C-2"]
        assert (await caller("GET", "/groups/G-9", by="E-1"))[0] == 404


async def test_the_visit_brief_is_one_page_and_names_hazards_and_classes(portrait: Portrait) -> None:
    await portrait.grant("E-1", "account-manager", kind="everything")
    await portrait.grant("P-1", "customer-contact", kind="owner", scope_id="C-1")
    found = [hazard(HazardFound, version=1, status="found", hazard_id=f"H-{n}") for n in range(30)]
    await portrait.hear(archive(), bill("B-1", yuan=90_000), complaint(), *found)
    async with portrait.served() as caller:
        status, pdf = await caller("GET", "/customers/C-1/visit-brief.pdf", by="E-1")
        assert status == 200
        assert (await caller("GET", "/customers/C-1/visit-brief.pdf", by="P-1"))[0] == 403
    pages = PdfReader(io.BytesIO(pdf)).pages
    text = pages[0].extract_text()
    assert len(pages) == 1
    assert all(words in text for words in ("客户1", "高贡献度", "油位偏低", "走访简报"))


async def test_a_saved_filter_selects_exports_and_hands_out_once(portrait: Portrait) -> None:
    for person in ("E-1", "E-2"):
        await portrait.grant(person, "department-head", kind="everything")
    await portrait.grant("E-3", "account-manager", kind="everything")
    await portrait.hear(*[archive(f"C-{n}") for n in (1, 2, 3)], known_as("C-4", "=cmd()"))
    await portrait.hear(*[bill(f"B-{n}", yuan=90_000).model_copy(update={"account_id": f"A-{n}"}) for n in (1, 2, 4)])
    wanted = {"name": "高贡献", "criteria": {"classes": ["high-contribution"], "voltage_kv_at_least": 10}}
    async with portrait.served() as caller:
        _, saved = await caller("POST", "/filters", body=wanted, by="E-1")
        path = f"/filters/{saved['filter_id']}"
        _, page = await caller("GET", f"{path}/customers?limit=2", by="E-1")
        assert ([c["customer_id"] for c in page["items"]], page["next_after"]) == (["C-1", "C-2"], "C-2")
        assert (await caller("GET", f"{path}/customers", by="E-2"))[0] == 404, "a filter is its owner's"
        _, body = await caller("GET", f"{path}/customers.csv", by="E-1")
        lines = list(csv.DictReader(io.StringIO(body.lstrip("\ufeff"))))
        assert [line["name"] for line in lines] == ["客户1", "客户2", "'=cmd()"]
        order = {
            "assignee_person_id": "E-3",
            "purpose": "visit",
            "due_on": (NOW + timedelta(days=9)).date().isoformat(),
        }
        _, first = await caller("POST", f"{path}/assignments", body=order, by="E-1")
        _, again = await caller("POST", f"{path}/assignments", body=order, by="E-1")
        assert (first, again) == ({"customers": 3, "already_assigned": 0}, {"customers": 0, "already_assigned": 3})
        late = {**order, "due_on": (NOW - timedelta(days=2)).date().isoformat()}
        assert (await caller("POST", f"{path}/assignments", body=late, by="E-1"))[1]["field"] == "due_on"
        assert (await caller("POST", f"{path}/assignments", body=order, by="E-3"))[0] == 403
        _, mine = await caller("GET", "/assignments", by="E-3")
        done = f"/assignments/{mine[0]['assignment_id']}/outcome"
        assert (await caller("POST", done, body={"outcome": "已走访"}, by="E-2"))[0] == 404
        assert (await caller("POST", done, body={"outcome": "已走访"}, by="E-3"))[0] == 204
        assert len((await caller("GET", "/assignments", by="E-3"))[1]) == 2
    said = await portrait.said("customer-assigned")
    assert {(s["customer_id"], s["assignee_person_id"], s["purpose"]) for s in said} == {
        (c, "E-3", "visit") for c in ("C-1", "C-2", "C-4")
    }
