"""A person's engagement with a customer begins and ends: told once to notify, held by all four services."""

import asyncio
import json
from datetime import UTC, datetime, timedelta

from services.contracts.marketing import Engagement, PersonChanged
from services.contracts.notify import EngagementsChanged
from tests.access.house import SERVICES, Street, Town
from tests.access.rows import MINE

DOORS = {
    "inspection": "/inspection/v1/hazards",
    "outage": f"/outage/v1/customers/{MINE}/outages",
    "portrait": f"/portrait/v1/customers/{MINE}",
    "notify": "/notify/v1/persons/me",
}


async def _tell(town: Town, *, version: int, valid_to: datetime | None) -> None:
    """The archive speaks to notify; what notify then says on `notify-directory` is handed to the other services."""
    engagement = Engagement(
        engagement_id="E-leaver", customer_id=MINE, role="customer-contact",
        valid_from=datetime(2026, 1, 1, tzinfo=UTC), valid_to=valid_to,
    )  # fmt: skip
    person = PersonChanged(person_id="P-leaver", version=version, name="李四", engagements=(engagement,))
    assert await town.hear("notify", person) == "applied"
    admin = await town.admin()
    said = await admin.fetchval(
        "SELECT payload FROM notify.outbox WHERE type = $1 AND aggregateid = $2 ORDER BY seq DESC LIMIT 1",
        EngagementsChanged.TYPE, EngagementsChanged.key_of("P-leaver"),
    )  # fmt: skip
    await admin.close()
    changed = EngagementsChanged.model_validate_json(said)
    for service in SERVICES:
        if service != "notify":
            assert await town.hear(service, changed) == "applied"


async def test_an_ended_engagement_loses_access_to_every_service_with_the_next_request(street: Street) -> None:
    for path in DOORS.values():
        assert (await street.call("GET", path, by="P-leaver"))[0] == 403, "not engaged yet"
    await _tell(street.town, version=1, valid_to=None)
    for path in DOORS.values():
        status, text = await street.call("GET", path, by="P-leaver")
        assert status == 200, (path, text)
    token = street.token("P-leaver")
    await _tell(street.town, version=2, valid_to=datetime.now(UTC) - timedelta(seconds=1))
    for path in DOORS.values():
        header = {"Authorization": f"Bearer {token}"}  # still valid as a token: only the engagement is over
        status, text = await street.call("GET", path, header=header)
        assert (status, json.loads(text)["title"]) == (403, "forbidden"), path


async def test_an_engagement_ends_by_time_alone(street: Street) -> None:
    """Nobody has to say anything at the hour itself."""
    end = datetime.now(UTC) + timedelta(seconds=2)
    await _tell(street.town, version=3, valid_to=end)
    assert (await street.call("GET", DOORS["outage"], by="P-leaver"))[0] == 200
    await asyncio.sleep((end - datetime.now(UTC)).total_seconds() + 0.1)
    for path in DOORS.values():
        assert (await street.call("GET", path, by="P-leaver"))[0] == 403, path
