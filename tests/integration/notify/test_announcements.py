"""Announcements from outside: a filter, a frozen list, a leader's yes, proof of reading, one reminder."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

from services.contracts.portrait import CustomerProfileChanged
from tests.integration.notify.house import NotifyHouse
from tests.integration.notify.test_delivery import NOW, bodies, person, profile
from tests.integration.notify.test_directory import role_of, run, settled, staff


def notice(**given: Any) -> dict[str, Any]:
    values = {
        "kind": "price-policy", "headline": "分时电价政策调整", "text": "自下月起执行新的分时时段，详见服务页面。",
        "audience": {"roles": ["customer-contact"]}, "send_at": NOW.isoformat(),
        "remind_at": (NOW + timedelta(days=1)).isoformat(),
    }  # fmt: skip
    return values | given


def known_as(customer: CustomerProfileChanged, **given: Any) -> CustomerProfileChanged:
    accounts = tuple(a.model_copy(update={k: v for k, v in given.items() if k in ("voltage_kv", "industry_class")})
                     for a in customer.accounts)  # fmt: skip
    body = customer.model_dump() | {k: v for k, v in given.items() if k in ("classes", "importance_grade")}
    return CustomerProfileChanged.model_validate(body | {"version": 2, "accounts": accounts})


async def test_an_announcement_goes_to_the_frozen_list_after_a_leaders_approval_and_reminds_the_unread(
    house: NotifyHouse,
) -> None:
    await settled(house)
    await house.hear(staff("department-head", "HEAD", unit="city"), person("P-2", "C-2"))
    async with house.served() as call:
        assert (await call("POST", "/announcements", by="P-1", body=notice()))[0] == 403
        backwards = notice(remind_at=NOW.isoformat())
        assert (await call("POST", "/announcements", by="M-1", body=backwards))[1]["field"] == "remind_at"
        lure = notice(text="缴费有优惠")
        assert (await call("POST", "/announcements", by="M-1", body=lure))[1]["field"] == "text"
        status, draft = await call("POST", "/announcements", by="HEAD", body=notice())
        assert (status, draft["state"]) == (201, "draft")
        one = f"/announcements/{draft['announcement_key']}"
        assert [a["state"] for a in (await call("GET", "/announcements", by="LEADER"))[1]["items"]] == ["draft"]
        status, counted = await call("GET", f"{one}/preview", by="HEAD")
        assert (counted["people"], counted["by_channel"]["wechat"], counted["unreachable"]) == (2, 1, 1)
        assert (await call("POST", f"{one}/approve", by="HEAD"))[1]["title"] == "self-approval"
        assert (await call("POST", f"{one}/approve", by="M-1"))[0] == 403
        status, approved = await call("POST", f"{one}/approve", by="LEADER")  # of the east: C-1's people only
        assert (status, approved["listed"], approved["announcement"]["state"]) == (200, 1, "approved")
        assert (await call("POST", f"{one}/approve", by="LEADER"))[0] == 409

        await house.hear(person("P-3", "C-1"))  # who comes after the approval is not on the list
        await run(house, "send-announcements")
        told = await house.rows("SELECT person_id, event_class, priority FROM notify.delivery")
        assert [tuple(r) for r in told] == [("P-1", "announcement", 3)]
        assert (await call("POST", f"{one}/recall", by="LEADER"))[0] == 409
        assert (await call("GET", f"{one}/readers", by="M-1"))[1]["read"] == 0
        await house.rows("UPDATE notify.announcement SET remind_at = now() - interval '1 second'")
        for _ in range(2):
            await run(house, "send-announcements")
        classes = "SELECT event_class FROM notify.delivery WHERE person_id = 'P-1' ORDER BY created_at"
        assert [r["event_class"] for r in await house.rows(classes)] == ["announcement", "announcement-reminder"]
        assert (await call("POST", f"{one}/read", by="ADMIN"))[0] == 404
        assert (await call("POST", f"{one}/read", by="P-1"))[0] == 204
        status, proof = await call("GET", f"{one}/readers", by="M-1")
        assert (proof["listed"], proof["read"], proof["items"][0]["person_id"]) == (1, 1, "P-1")
        assert (await call("GET", f"{one}/readers", by="M-2"))[1]["listed"] == 0
        assert {b["person_id"] for b in bodies(await house.said("message-opened"))} == {"P-1"}
        audited = await house.rows("SELECT action FROM notify.audit WHERE object_type = 'announcement' ORDER BY seq")
        assert [r["action"].removeprefix("announcement-") for r in audited] == [
            "written", "approved", "sent", "reminded", "read",
        ]  # fmt: skip

        second = (await call("POST", "/announcements", by="HEAD", body=notice(remind_at=None)))[1]["announcement_key"]
        assert (await call("POST", f"/announcements/{second}/approve", by="LEADER"))[0] == 200
        assert (await call("POST", f"/announcements/{second}/recall", by="LEADER"))[1]["state"] == "recalled"
        await run(house, "send-announcements")
        assert await house.rows("SELECT 1 FROM notify.delivery WHERE subject_id = $1", second) == []


async def test_the_audience_is_drawn_by_class_industry_area_role_importance_and_voltage(house: NotifyHouse) -> None:
    await settled(house)
    await house.hear(
        known_as(
            profile("C-1", "A-1", area="east"), voltage_kv=Decimal(10), industry_class="C3110",
            classes=("high-service",),
        ),
        known_as(
            profile("C-2", "B-1", area="west"), voltage_kv=Decimal(35), industry_class="P8334",
            importance_grade="grade-1",
        ),
        person("P-2", "C-2"), role_of("E-1", "C-1", "customer-electrician", phone="13900000009"),
        staff("department-head", "HEAD", unit="city"),
    )  # fmt: skip
    contact = {"roles": ["customer-contact"]}
    expected = [
        (contact, 2), ({"roles": ["customer-electrician"]}, 1), ({**contact, "classes": ["high-service"]}, 1),
        ({**contact, "industries": ["C31"]}, 1), ({**contact, "industries": ["31"]}, None),
        ({**contact, "industries": ["P"]}, 2), ({**contact, "areas": ["west"]}, 2),
        ({**contact, "importance": ["grade-1"]}, 2),
        ({**contact, "voltage_from_kv": "10", "voltage_below_kv": "35"}, 1),
        ({**contact, "voltage_from_kv": "10.01"}, 2), ({**contact, "customer_ids": ["C-1"]}, 1),
        ({**contact, "classes": ["high-service"], "areas": ["west"]}, 0),
    ]  # fmt: skip
    async with house.served() as call:
        for audience, count in expected:
            status, draft = await call("POST", "/announcements", by="HEAD", body=notice(audience=audience))
            if count is None:
                assert status == 422
                continue
            seen = await call("GET", f"/announcements/{draft['announcement_key']}/preview", by="HEAD")
            assert (audience, seen[1]["people"]) == (audience, count)
        nobody = await call("POST", f"/announcements/{draft['announcement_key']}/approve", by="LEADER")
        assert (nobody[0], nobody[1]["field"]) == (422, "audience")
