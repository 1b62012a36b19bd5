"""Feeder faults: everyone is told once, of all their accounts; restoration goes to those who were told."""

from collections.abc import Sequence
from datetime import timedelta

from deploy.demo import cast
from deploy.demo.measured import AS_OF
from deploy.demo.outside import NotSeen
from deploy.demo.stage import Stage
from services.contracts.grid import FaultDetected, SupplyRestored

_LASTS = timedelta(seconds=20)
"""An automatic reclosure: the demo does not wait for a crew."""


async def feeders_fail_and_return(stage: Stage) -> None:
    stage.chapter("五、馈线故障", "Feeders fail")
    told = await _fault(stage, number=1, feeder="F-12", steps=("fault-1", "restore-1"))
    stage.say(
        f"F-12 停电：{len(told)} 人各收到一条消息；电工 {cast.ELECTRICIAN} 一条消息列出两户。",
        f"F-12 out: {len(told)} people got one message each; {cast.ELECTRICIAN} serves two accounts and got one.",
    )
    stage.show_told(told)
    await _fault(stage, number=2, feeder="F-15", steps=("fault-2", "restore-2"))
    stage.say("F-15 同样处理；复电只告知被告知过停电的人。", "F-15 likewise; restoration went to those told before.")


async def a_feeder_fails_again(stage: Stage) -> None:
    stage.chapter("八、再次停电：顺序已变", "Another fault: the order has changed")
    before = await _order(stage, 1)
    await _fault(stage, number=3, feeder="F-12", steps=("fault-3", "restore-3"))
    after = await _order(stage, 3)
    if before == after or sorted(before) != sorted(after):
        raise NotSeen(f"the order of priority did not follow the attention level: {before}, then {after}")
    stage.say(
        f"F-12 客户的停电优先顺序由 {' → '.join(before)} 变为 {' → '.join(after)}：关注等级高者在前。",
        f"The outage priority on F-12 was {' → '.join(before)} and is {' → '.join(after)}: attention comes first.",
    )
    await _fault(stage, number=4, feeder="F-15", steps=("fault-4", "restore-4"))
    found = stage.latencies["fault"]
    stage.say(
        f"四次故障共 {len(found)} 条停电消息，从故障发布到手机 {min(found):.0f} 至 {max(found):.0f} 毫秒。",
        f"Four faults, {len(found)} outage messages, {min(found):.0f} to {max(found):.0f} ms from fault to phone.",
    )


async def _fault(
    stage: Stage, *, number: int, feeder: str, steps: tuple[str, str]
) -> list[tuple[str, str, str, float]]:
    fault_id, begin = fault_name(number), AS_OF + timedelta(seconds=number)
    people = _people_of(feeder)
    await stage.step(steps[0])
    begun_ns = await stage.publisher.send([FaultDetected(feeder_id=feeder, fault_id=fault_id, detected_at=begin)])
    find = "SELECT outage_id FROM outage.outage WHERE fault_id = $1"
    [[outage_id]] = await stage.outside.until("outage", find, lambda r: len(r) == 1, fault_id)
    told = await stage.told(
        event_class="fault-outage", subjects={outage_id: begun_ns}, wanted=len(people), measure="fault"
    )
    if sorted(t[0] for t in told) != sorted(people):
        raise NotSeen(f"{fault_id}: told {sorted(t[0] for t in told)}, due were {sorted(people)}")
    await stage.settled()
    await stage.step(steps[1])
    back_ns = await stage.publisher.send(
        [SupplyRestored(feeder_id=feeder, fault_id=fault_id, restored_at=begin + _LASTS)]
    )
    await stage.told(event_class="supply-restored", subjects={outage_id: back_ns}, wanted=len(people))
    await stage.settled()
    return told


def fault_name(number: int) -> str:
    return f"FAULT-2026-{number:04d}"


def _people_of(feeder: str) -> Sequence[str]:
    members = [m for m in cast.MEMBERS if m.feeder == feeder]
    electrician = [cast.ELECTRICIAN] if set(members) & set(cast.ELECTRICIANS_CUSTOMERS) else []
    return [*(m.contact_id for m in members), *electrician]


async def _order(stage: Stage, number: int) -> list[str]:
    """Customers of the outage in the order in which it serves them, as the dispatcher reads it."""
    find = "SELECT outage_id FROM outage.outage WHERE fault_id = $1"
    outage_id = await stage.outside.one(find, fault_name(number))
    outage = await stage.ok("GET", "outage", f"/outages/{outage_id}", cast.DISPATCHER)
    return [point["customer_id"] for point in outage["affected"]]
