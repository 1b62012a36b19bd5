"""A complaint raises service contact, never the inspection cycle; what a customer may see of all this."""

from typing import Any

from deploy.demo import cast
from deploy.demo.chapters.hazards import standing
from deploy.demo.outside import NotSeen
from deploy.demo.stage import Stage

COMPLAINS = cast.MEMBERS[4]
_INTERNAL = ("class", "attention", "complaint", "violation", "veto", "explanation", "分类", "关注", "投诉", "违约")


async def a_customer_complains_and_looks(stage: Stage) -> None:
    stage.chapter("九、投诉；客户看到什么", "A complaint; what a customer sees")
    who = COMPLAINS.customer_id
    before = await standing(stage)
    visits = await _service_visits(stage)
    await stage.step("complaint")
    ticket = {"customer_id": who, "kind": "complaint", "channel": "95598", "words": "答复太慢"}
    await stage.ok("POST", "notify", "/tickets", cast.DESK, body=ticket)
    await stage.settled()
    after = await standing(stage)
    more = await _service_visits(stage)
    if before != after or more <= visits:
        raise NotSeen(f"a complaint moved {before[who]} to {after[who]}, service visits {visits} to {more}")
    stage.say(
        f"{COMPLAINS.name} 投诉：服务走访 {visits} → {more} 次，应检日期仍为 {after[who][1]}，关注等级不变。",
        f"{who} complained: service visits {visits} → {more}; inspection still due {after[who][1]}, level unchanged.",
    )
    await _own_view(stage)


async def _service_visits(stage: Stage) -> int:
    profile = await stage.ok("GET", "portrait", f"/customers/{COMPLAINS.customer_id}", cast.MANAGER)
    return int(profile["explanation"]["extra_service_visits"])


async def _own_view(stage: Stage) -> None:
    """The customer's contact asks every service; nothing internal may come back, not even a word of it."""
    me, own = COMPLAINS.contact_id, COMPLAINS.customer_id
    answers: list[Any] = [
        await stage.ok("GET", "portrait", f"/customers/{own}", me),
        await stage.ok("GET", "portrait", f"/customers/{own}/scores", me),
        await stage.ok("GET", "inspection", "/hazards", me),
        await stage.ok("GET", "outage", "/outages", me),
        await stage.ok("GET", "outage", f"/customers/{own}/outages", me),
        await stage.ok("GET", "notify", "/inbox", me),
    ]
    shown = [m["data"] for m in await stage.outside.sandbox_messages() if m["openid"] == f"openid_{me}"]
    if leaks := sorted({name for value in (*answers, *shown) for name in _texts(value) if _internal(name)}):
        raise NotSeen(f"the customer saw {leaks}")
    for service, path in (
        ("portrait", f"/customers/{cast.STEEL.customer_id}"),
        ("outage", f"/customers/{cast.STEEL.customer_id}/outages"),
    ):
        await stage.refused("GET", service, path, me, status=404)
    await stage.refused("GET", "portrait", "/customers", me, status=403)
    await stage.refused("GET", "notify", f"/deliveries?customer_id={own}", me, status=403)
    score = answers[0]["score"]
    stage.say(
        f"其联系人看到得分 {score['score']:.1f}（{score['band']} 档）及分项、停电、隐患与 {len(shown)} 条消息；"
        "分类、关注等级、投诉与违约均不可见，他户一律 404。",
        f"Its contact sees the score {score['score']:.1f} ({score['band']}), sub-scores, outages, hazards and"
        f" {len(shown)} messages; no class, attention, complaint or violation, and of other customers 404.",
    )


def _texts(value: Any) -> list[str]:
    """All field names and texts within an answer, but for `event_class`, which names the kind of a message."""
    if isinstance(value, dict):
        inner = [text for v in value.values() for text in _texts(v)]
        return [*(k for k in value if k != "event_class"), *inner]
    if isinstance(value, list):
        return [text for v in value for text in _texts(v)]
    return [value] if isinstance(value, str) else []


def _internal(text: str) -> bool:
    return any(word in text.lower() for word in _INTERNAL)
