"""The policy from outside: dated, confirmed by a second person, explained per person, tried before it is in force."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from services.contracts.marketing import ApplicationProgressed, BillCancelled, BillIssued
from services.contracts.outage import RestorationEstimated
from services.contracts.portrait import MonthlyUsageComputed
from services.kernel.clock import BUSINESS_ZONE
from services.notify.policy.document import shipped_policy
from tests.integration.notify.house import NotifyHouse
from tests.integration.notify.test_delivery import NOW, fault, part, person
from tests.integration.notify.test_directory import role_of, settled, staff

TODAY = NOW.astimezone(BUSINESS_ZONE).date()


def document(**classes: dict[str, Any]) -> dict[str, Any]:
    drawn = shipped_policy().model_dump(mode="json") | {"valid_from": TODAY.isoformat()}
    for name, change in classes.items():
        drawn["classes"][name.replace("_", "-")] |= change
    return drawn


def bill(number: str, account: str = "A-1", *, period_to: date = TODAY) -> BillIssued:
    return BillIssued(
        account_id=account, bill_id=number, period_from=period_to - timedelta(days=30), period_to=period_to,
        energy_kwh=Decimal("1234.5"), amount_yuan=Decimal("987.60"), due_on=period_to + timedelta(days=14),
    )  # fmt: skip


async def keepers(house: NotifyHouse) -> None:
    await settled(house)
    await house.hear(staff("department-head", "HEAD", unit="city"), staff("system-administrator", "ROOT"))


async def told(house: NotifyHouse, event_class: str) -> list[tuple[str, str]]:
    rows = await house.rows(
        "SELECT person_id, state FROM notify.delivery WHERE event_class = $1 ORDER BY person_id, created_at",
        event_class,
    )
    return [tuple(r) for r in rows]


async def test_a_policy_is_entered_tried_confirmed_by_a_second_person_and_then_followed(house: NotifyHouse) -> None:
    await keepers(house)
    await house.hear(fault(part(1, 1, ("C-1", "A-1"))))
    changed = document(
        fault_outage={"customer_roles": ["customer-administrator"], "staff_roles": ["account-manager"]},
        bill_issued={"customer_roles": ["customer-administrator"]},
    )
    async with house.served() as call:
        for broken, field in (
            ({**changed, "classes": {k: v for k, v in changed["classes"].items() if k != "announcement"}}, "classes"),
            (document(bill_issued={"channels": ["telex"]}), "classes.bill-issued.channels.0"),
        ):
            status, problem = await call("POST", "/policies", by="HEAD", body=broken)
            assert (status, problem["field"]) == (422, field)
        assert (await call("POST", "/policies", by="M-1", body=changed))[0] == 403
        status, entered = await call("POST", "/policies", by="HEAD", body=changed)
        version = entered["version"]
        assert (status, entered["confirmed_by"]) == (201, None)
        assert (await call("GET", "/policies", by="M-1"))[1]["in_force"] == "shipped"

        status, difference = await call("GET", f"/policies/{version}/difference?day={TODAY}", by="HEAD")
        assert (status, difference["happenings"], difference["added"], difference["dropped"]) == (200, 1, 2, 1)
        lines = {c["person_id"]: (c["before"], c["after"]) for c in difference["items"]}
        assert lines["P-1"] == (["wechat", "inbox"], None) and lines["ADMIN"][0] is lines["M-1"][0] is None
        same = await call("GET", f"/policies/shipped/difference?day={TODAY}", by="HEAD")
        assert (same[1]["happenings"], same[1]["items"]) == (1, [])

        assert (await call("POST", f"/policies/{version}/confirm", by="HEAD"))[1]["title"] == "self-approval"
        assert (await call("POST", f"/policies/{version}/confirm", by="ROOT"))[0] == 200
        assert (await call("POST", f"/policies/{version}/confirm", by="ROOT"))[0] == 409
        assert (await call("GET", "/policies", by="M-1"))[1]["in_force"] == version
        await house.hear(bill("BILL-1"))
        assert [p for p, _ in await told(house, "bill-issued")] == ["ADMIN"]
        tomorrow = {**document(), "valid_from": (TODAY + timedelta(days=1)).isoformat()}
        later = (await call("POST", "/policies", by="HEAD", body=tomorrow))[1]["version"]
        assert (await call("POST", f"/policies/{later}/confirm", by="ROOT"))[0] == 200
        assert (await call("GET", "/policies", by="M-1"))[1]["in_force"] == version  # not before its day
        audited = await house.rows("SELECT actor, action FROM notify.audit WHERE object_type = 'policy' ORDER BY seq")
        assert [tuple(r) for r in audited[:2]] == [("HEAD", "policy-entered"), ("ROOT", "policy-confirmed")]
        past = {**document(), "valid_from": (TODAY - timedelta(days=1)).isoformat()}
        missed = (await call("POST", "/policies", by="HEAD", body=past))[1]["version"]
        assert (await call("POST", f"/policies/{missed}/confirm", by="ROOT"))[0] == 409


async def test_why_somebody_was_told_or_not_is_said_as_it_was_then(house: NotifyHouse) -> None:
    await keepers(house)
    await house.hear(fault(part(1, 1, ("C-1", "A-1"))))
    async with house.served() as call:
        status, got = await call("GET", "/messages/why?subject_id=O-1&person_id=P-1", by="M-1")
        [line] = got["items"]
        assert (status, line["told"], line["policy_version"]) == (200, True, "shipped")
        assert line["reasons"][0]["code"] == "customer-role" and line["reasons"][0]["zh"]
        assert [(m["channel"], m["state"]) for m in got["messages"]] == [("wechat", "pending")]
        status, other = await call("GET", "/messages/why?subject_id=O-1&person_id=ADMIN", by="M-1")
        assert [(i["told"], [r["code"] for r in i["reasons"]]) for i in other["items"]] == [(False, ["role-not-meant"])]
        assert (await call("GET", "/messages/why?subject_id=O-1&person_id=NOBODY", by="M-1"))[1]["not_considered"]
        # Later changes of the directory do not change what was so when it was planned.
        await house.hear(role_of("ADMIN", "C-1", "customer-contact", version=2))
        again = await call("GET", "/messages/why?subject_id=O-1&person_id=ADMIN", by="M-1")
        assert again[1]["items"] == other["items"]
        assert (await call("GET", "/messages/why?subject_id=O-1&person_id=P-1", by="M-2"))[1]["items"] == []
        assert (await call("GET", "/messages/why?subject_id=O-1", by="P-1"))[0] == 403


async def test_bills_reach_the_right_roles_and_a_cancelled_one_exactly_those_who_got_it(house: NotifyHouse) -> None:
    await settled(house)
    assert await house.hear(bill("BILL-1", "A-9")) == ["waiting"]
    await house.hear(bill("BILL-1"), bill("BILL-2", period_to=TODAY - timedelta(days=46)))
    issued = await told(house, "bill-issued")
    assert [p for p, _ in issued] == ["ADMIN", "ADMIN", "P-1", "P-1"]
    assert [issued[0][1], issued[1][1], issued[3][1]] == ["delivered", "suppressed", "suppressed"]
    assert issued[2][1] in ("pending", "held")  # held in the quiet hours
    # P-1's bill had not gone yet: it goes no more, and no correction follows. The administrator had it in the inbox.
    await house.hear(BillCancelled(account_id="A-1", bill_id="BILL-1", reason="抄表更正"))
    assert await told(house, "bill-cancelled") == [("ADMIN", "delivered")]
    assert [state for person, state in await told(house, "bill-issued") if person == "P-1"] == ["suppressed"] * 2


async def test_every_stage_of_an_application_and_every_month_is_told_once(house: NotifyHouse) -> None:
    await settled(house)
    step = ApplicationProgressed(
        account_id="A-1", application_id="AP-1", kind="capacity-increase", stage="accepted", reached_at=NOW
    )
    await house.hear(step, step, step.model_copy(update={"stage": "energised"}))
    assert [p for p, _ in await told(house, "application-progressed")] == ["ADMIN", "ADMIN", "P-1", "P-1"]
    over, running = TODAY.replace(day=1) - timedelta(days=1), TODAY
    month = MonthlyUsageComputed(
        customer_id="C-1", month=f"{over:%Y-%m}", revision=0, energy_kwh=Decimal(1000), mean_load_kw=Decimal("1.4"),
        completeness=0.998,
    )  # fmt: skip
    for revision, energy in ((1, "1010"), (2, "1010.1"), (3, "1010.2")):  # one per cent is not told again, more is
        await house.hear(month.model_copy(update={"revision": revision - 1, "energy_kwh": Decimal(energy) - 10}))
    await house.hear(month.model_copy(update={"month": f"{running:%Y-%m}"}))
    assert [p for p, _ in await told(house, "usage-summary")] == ["P-1"]
    await house.hear(month.model_copy(update={"revision": 9, "energy_kwh": Decimal("1010.01")}))
    assert [p for p, _ in await told(house, "usage-summary")] == ["P-1", "P-1"]


async def test_an_estimate_reaches_those_told_of_the_fault_with_their_accounts(house: NotifyHouse) -> None:
    await settled(house)
    await house.hear(fault(part(1, 1, ("C-1", "A-1"), ("C-2", "B-1"))))
    estimate = RestorationEstimated(
        outage_id="O-1", feeder_id="F-1", fault_id="X-1", estimated_at=NOW, expected_at=NOW + timedelta(hours=2)
    )
    await house.hear(estimate, person("P-9", "C-1"), estimate)
    rows = await house.rows("SELECT d.person_id, count(*) AS n FROM notify.delivery d JOIN notify.delivery_account"
                            " USING (delivery_id) WHERE event_class = 'restoration-estimated' GROUP BY 1")  # fmt: skip
    assert [tuple(r) for r in rows] == [("P-1", 2)]
