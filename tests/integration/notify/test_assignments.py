"""Customers assigned in bulk: the assignee alone hears of them, as one message of the morning."""

from datetime import UTC, date, datetime, timedelta

from services.contracts.portrait import CustomerAssigned
from tests.integration.notify.house import NotifyHouse
from tests.integration.notify.sending import open_sending
from tests.integration.notify.test_delivery import person, profile
from tests.integration.notify.test_routes import post

NOW = datetime.now(UTC)


def assigned(customer_id: str, to: str) -> CustomerAssigned:
    return CustomerAssigned(
        customer_id=customer_id, assignment_id=f"AS-{customer_id}-{to}", assignee_person_id=to, purpose="visit",
        due_on=date(2026, 7, 20), assigned_by="E-1", occurred_at=NOW,
    )  # fmt: skip


async def test_a_bulk_order_reaches_the_assignee_once_in_the_morning_and_nobody_else(house: NotifyHouse) -> None:
    await house.hear(
        profile("C-1", "A-1"), profile("C-2", "B-1"), person("M-1", openid="openid-m1"),
        person("M-2", openid="openid-m2"), person("P-1", "C-1", "C-2", openid="openid-p1"),
        post("account-manager", "M-1", "C-1", "C-2"), post("team-leader", "M-3", "C-1", "C-2"),
    )  # fmt: skip
    sending = open_sending(house)
    sending.clock.advance(NOW - sending.clock.now())
    orders = [assigned("C-1", "M-1"), assigned("C-2", "M-1"), assigned("C-1", "M-2")]
    assert await house.hear(*orders, *orders) == ["applied"] * 6
    await sending.settle()
    assert sending.provider("wechat").shown == [], "they wait for the morning"
    await sending.advance(by=timedelta(days=1))
    shown = sorted((m.address, m.event_class) for _, m in sending.provider("wechat").shown)
    assert shown == [("openid-m1", "digest"), ("openid-m2", "customer-assigned")]
    [merged] = await house.rows("SELECT facts ->> 'lines' AS lines FROM notify.delivery WHERE event_class = 'digest'")
    assert "客户C-1，走访" in merged["lines"] and "客户C-2，走访" in merged["lines"]
    told = await house.rows("SELECT DISTINCT person_id FROM notify.delivery ORDER BY 1")
    assert [r["person_id"] for r in told] == ["M-1", "M-2"]
