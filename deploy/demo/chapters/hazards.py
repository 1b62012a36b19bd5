"""Three-step inspections, the closed loop of a hazard, and what hazards move in the other services."""

import io
import time
from typing import Any

import numpy as np
from PIL import Image

from deploy.demo import cast
from deploy.demo.measured import oil_temperature
from deploy.demo.outside import NotSeen
from deploy.demo.stage import Stage

FAILED = {
    "0001": ("T10", "瓦斯保护退出"),
    "0002": ("I14", "接地线缺编号"),
    "0003": ("I04", "电缆孔洞未封堵"),
    "0004": ("I07", "应急照明不亮"),
    "0005": ("D12", "电容器鼓肚"),
    "0006": ("I10", "配电室堆放杂物"),
}
"""Customer number -> the failed item of the checklist and the inspector's note; invented, as all findings here."""
_PASSED = ("I01", "K01", "D09")
MOVED = cast.MEMBERS[1]


async def hazards_are_found_and_one_is_closed(stage: Stage) -> None:
    stage.chapter("六、三步检查、隐患闭环及其影响", "Inspections, the closed loop, and what it moves")
    before = await standing(stage)
    await stage.step("visits")
    begun: dict[str, int] = {}
    hazards: dict[str, str] = {}
    for member in cast.MEMBERS:
        begun_ns = time.monotonic_ns()
        submitted = await stage.ok("POST", "inspection", "/visits", cast.INSPECTOR_A, body=_report(member))
        [hazards[member.number]] = submitted["hazard_ids"]
        begun[hazards[member.number]] = begun_ns
    serves_two = len(cast.ELECTRICIANS_CUSTOMERS)
    told = await stage.told(
        event_class="hazard-found", subjects=begun, wanted=2 * len(cast.MEMBERS) + serves_two, measure="hazard"
    )
    stage.say(
        f"{len(hazards)} 处现场各查出一项隐患，联系人、电工和客户经理随即收到：",
        f"{len(hazards)} sites, a hazard at each; contacts, electrician and account manager were told at once:",
    )
    stage.show_told(told)
    await stage.settled()
    await _loop(stage, before, await standing(stage))
    await _close(stage, hazards[cast.STEEL.number])


def _report(member: cast.Member) -> dict[str, Any]:
    code, note = FAILED[member.number]
    return {
        "site_id": member.site_id,
        "inspector_ids": [cast.INSPECTOR_A, cast.INSPECTOR_B],
        "companion": "客户代表",
        "items": [*({"code": c, "value": True} for c in _PASSED), {"code": code, "value": False, "note": note}],
    }


async def standing(stage: Stage) -> dict[str, tuple[int, str, str]]:
    """Attention level, due date and its reason by customer, as the account manager reads them."""
    due = await stage.ok("GET", "inspection", "/sites/due", cast.MANAGER)
    page = await stage.ok("GET", "portrait", "/customers", cast.MANAGER)
    levels = {c["customer_id"]: c["attention_level"] for c in page["items"]}
    return {d["customer_id"]: (levels[d["customer_id"]], d["due_on"], d["reason"]) for d in due}


async def _loop(stage: Stage, before: dict[str, tuple[int, str, str]], after: dict[str, tuple[int, str, str]]) -> None:
    told = await stage.outside.rows(
        "SELECT customer_id, count(*) AS n FROM notify.delivery WHERE event_class = 'reclassified' AND person_id = $1"
        " AND channel = 'wechat' AND state = 'delivered' GROUP BY 1", cast.MANAGER,
    )  # fmt: skip
    managers = {row["customer_id"]: row["n"] for row in told}
    rows = [
        (c, f"{before[c][0]} → {after[c][0]}", f"{before[c][1]} → {after[c][1]}", after[c][2], str(managers.get(c, 0)))
        for c in sorted(after)
    ]
    moved = MOVED.customer_id
    if not (after[moved][0] > before[moved][0] and after[moved][1] < before[moved][1] and managers.get(moved)):
        raise NotSeen(f"the hazard of {moved} moved nothing: {before[moved]}, then {after[moved]}")
    stage.say(
        "隐患与停电改变关注等级，关注等级改变下次检查日期，并报告客户经理：",
        "Hazards and outages move the attention level, the level moves the next inspection and reaches the manager:",
    )
    stage.table("客户 customer", "关注 attention", "应检日期 due", "缘由 reason", "告经理 to manager", rows=rows)


async def _close(stage: Stage, hazard: str) -> None:
    noise = np.random.default_rng(1).integers(0, 255, size=(240, 320, 3), dtype=np.uint8)
    photo = io.BytesIO()
    Image.fromarray(noise).save(photo, "JPEG")
    await stage.step("rectify")
    path = f"/hazards/{hazard}"
    form = ("photo", photo.getvalue())
    await stage.ok("POST", "inspection", f"{path}/rectify", cast.STEEL.contact_id, form=form)
    await stage.settled()
    await stage.step("verify")
    await stage.refused("POST", "inspection", f"{path}/verify", cast.INSPECTOR_A, status=403, body={})
    await stage.ok("POST", "inspection", f"{path}/verify", cast.INSPECTOR_C, body={})
    await stage.settled()
    await stage.step("close")
    await stage.ok("POST", "inspection", f"{path}/close", cast.INSPECTOR_C, body={})
    await stage.settled()
    stage.say(
        "危急隐患：客户上传整改照片，发现人自验被拒，由另一名检查员复验并闭环。",
        "The critical one: rectified with a photo; the finder's own check was refused, another verified and closed.",
    )


async def a_stuck_measurement_is_suspected(stage: Stage) -> None:
    stage.chapter("七、油温冻结", "A frozen oil temperature")
    events = list(oil_temperature(cast.STEEL.asset_id, days=730))
    await stage.send_in_chunks("油温 oil temperature", events, steps=("oil-1", "oil-2"))
    await stage.settled()
    rows = await stage.outside.rows(
        "SELECT hazard_id, item_code, finding FROM inspection.hazard WHERE suspected AND asset_id = $1",
        cast.STEEL.asset_id,
    )
    if len(rows) != 1:
        raise NotSeen(f"one suspicion was due for {cast.STEEL.asset_id}, there are {len(rows)}: {rows}")
    [suspicion] = rows
    stage.say(
        f"{len(events)} 天实测油温，其中有整段不变：只开出 1 项疑似隐患（{suspicion['finding']}）。",
        f"{len(events)} measured days with stretches that stood still: one suspected hazard, however many stretches.",
    )
    await stage.ok(
        "POST", "inspection", f"/hazards/{suspicion['hazard_id']}/confirm", cast.INSPECTOR_B, body={"note": "探头失效"}
    )
    await stage.settled()
    stage.say("检查员到场核实并确认。", "An inspector went there and confirmed it.")
