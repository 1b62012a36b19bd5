"""The measured sites: what is stored equals the page worked out by hand; pictures for those who may see them."""

import os
from pathlib import Path
from xml.etree import ElementTree as XML

import aiohttp
import numpy as np
import pytest

from deploy.checked_by_hand import MONTHS, PAGE, everything, page
from deploy.demo import cast
from deploy.demo.measured import site_profiles, steel_plant
from services.kernel.work import EVERYTHING, Actor, Cause
from services.portrait.rules.day_block import CHANNELS, MISSING
from services.portrait.rules.stored_indicators import decode
from services.portrait.scoring.runs import request_run
from services.portrait.scoring.worker import ScoringWorker
from tests.integration.portrait.house import Caller, Portrait
from tests.integration.portrait.population import curve_batch, store

PICTURES = {
    "load-day": "load-curve.svg?day=2025-12-10",
    "load-week": "load-curve.svg?day=2025-12-08&days=7",
    "year": "year.svg?year=2025",
    "score": "score.svg?month=2025-12",
    "portrait": "portrait.svg",
}


def test_the_page_is_what_its_script_writes() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run python -m deploy.checked_by_hand"


async def measured(portrait: Portrait) -> None:
    members = {m.profile: m for m in cast.MEMBERS}
    said = [(cast.STEEL, channel, day, values) for channel, day, values in steel_plant()]
    yearly = {str(profile): m.yearly_mwh for profile, m in members.items() if profile}
    said += [(members[p], "active-import", day, values) for p, day, values in site_profiles(yearly_mwh=yearly)]
    batches = [
        curve_batch(
            member.usage_point_id, first=day, channel=CHANNELS[channel], step=15,
            energy_wh=np.array([[MISSING if v is None else v for v in values]], np.int64),
        )
        for member, channel, day, values in said
    ]  # fmt: skip
    await portrait.hear(*map(cast.customer, cast.MEMBERS))
    await store(portrait, batches)


async def score(portrait: Portrait) -> None:
    cause = Cause(id="ask", source="tests", type="ask")
    actor = Actor(person_id="tests")
    async with portrait.database.work(role="worker", cause=cause, actor=actor, scope=EVERYTHING) as work:
        await request_run(work, month=MONTHS[-1], from_month=MONTHS[0])
    worker = ScoringWorker(database=portrait.database, holder="tests")
    while await worker.turn():
        pass


async def test_what_is_stored_equals_the_page_and_pictures_show_it(portrait: Portrait, tmp_path: Path) -> None:
    await measured(portrait)
    await score(portrait)
    rows = await portrait.rows("SELECT customer_id, month, score, band, shift, indicators FROM portrait.score")
    stored = {(row["customer_id"], row["month"]): row for row in rows}
    compared = 0
    for by_hand in everything():
        row = stored[by_hand.member.customer_id, by_hand.month]
        assert (row["score"], row["band"], row["shift"]) == (by_hand.score, by_hand.band, by_hand.shift)
        said = {code: measured.value for code, measured in decode(row["indicators"]).items()}
        assert {c for c, v in said.items() if v is None} == {c for c, v in by_hand.values.items() if v is None}
        values = {c: v for c, v in said.items() if v is not None}
        assert values == pytest.approx({c: by_hand.values[c] for c in values}, rel=1e-12)
        compared += len(values)
    assert compared >= 100
    await portrait.grant("contact", "customer-contact", kind="owner", scope_id=cast.STEEL.customer_id)
    await portrait.grant("head", "department-head", kind="everything")
    async with portrait.served() as call:
        await pictures(call, folder=Path(os.environ.get("KEYLINE_PICTURES", tmp_path)))


async def pictures(call: Caller, *, folder: Path) -> None:
    own, other = cast.STEEL.customer_id, cast.MEMBERS[1].customer_id
    for name, path in PICTURES.items():
        status, svg = await call("GET", f"/customers/{own}/plots/{path}", by="head")
        assert status == 200
        texts = "".join(XML.fromstring(svg).itertext())
        assert "钢铁加工示例企业" in texts, name
        (folder / f"steel-{name}.svg").write_text(svg, encoding="utf-8")
        assert (await call("GET", f"/customers/{own}/plots/{path}", by="contact"))[0] == (
            403 if name == "portrait" else 200
        )
        assert (await call("GET", f"/customers/{other}/plots/{path}", by="contact"))[0] in (403, 404)
    for member in cast.MEMBERS[1:]:
        for name in ("load-week", "year", "score"):
            status, svg = await call("GET", f"/customers/{member.customer_id}/plots/{PICTURES[name]}", by="head")
            assert status == 200
            (folder / f"{member.customer_id}-{name}.svg").write_text(svg, encoding="utf-8")
    assert (await call("GET", f"/customers/{own}/plots/year.svg?year=2019", by="contact"))[0] == 404
    assert (await call("GET", f"/customers/{own}/plots/load-curve.svg?day=2025-12-10&days=8", by="contact"))[0] == 422
    await unchanged_is_not_sent_again(call, f"/customers/{own}/plots/{PICTURES['load-day']}")


async def unchanged_is_not_sent_again(call: Caller, path: str) -> None:
    url = f"{call.url}/portrait/v1{path}"
    header = {"Authorization": f"Bearer {call.token('contact')}"}
    async with aiohttp.ClientSession(headers=header) as session:
        async with session.get(url) as answer:
            assert answer.content_type == "image/svg+xml"
            assert answer.headers["cache-control"] == "private, max-age=300"
            tag = answer.headers["etag"]
        async with session.get(url, headers={"If-None-Match": tag}) as answer:
            assert (answer.status, await answer.read()) == (304, b"")
