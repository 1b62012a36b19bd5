"""A measured year as curves and single readings, with repeats, late and corrected blocks and monthly registers."""

import time
from collections.abc import Sequence
from typing import Any

from deploy.demo import cast
from deploy.demo.measured import block, monthly_registers, site_profiles, steel_plant
from deploy.demo.outside import NotSeen
from deploy.demo.stage import Stage
from deploy.demo.topics import told_on_topic
from services.contracts.metering import IntervalBlockRecorded

REPEATS, LATE = 100, 40


async def a_year_of_curves_arrives(stage: Stage) -> None:
    stage.chapter("三、一年的实测曲线", "A measured year")
    blocks = _blocks(stage)
    registers = monthly_registers(blocks)
    whole, singles = _last_day_as_single_readings(blocks)
    blocks.remove(whole)
    corrected = _corrected(blocks)
    late, on_time = blocks[:LATE], blocks[LATE:]
    events = [*on_time, *stage.random.sample(on_time, k=REPEATS), *registers, *singles, *late, corrected]
    begun = time.monotonic()
    await stage.send_in_chunks("发布与入库 publish and store", events, steps=("curves-1", "curves-2", "curves-3"))
    assert stage.house.broker is not None
    said = await told_on_topic(bootstrap_servers=stage.house.broker.bootstrap_servers)
    await stage.outside.until(
        "all slots stored", "SELECT coalesce(sum(present), 0) FROM portrait.interval_block",
        lambda r: r[0][0] == said.slots, seconds=90,
    )  # fmt: skip
    await stage.outside.until(
        "registers stored", "SELECT count(*) FROM portrait.register_reading", lambda r: r[0][0] == len(registers)
    )
    await stage.settled()
    took = time.monotonic() - begun
    stored = await stage.outside.one("SELECT count(*) FROM portrait.interval_block")
    stage.say(
        f"主题上数得 {said.published} 个读数，入库 {said.slots} 个，分 {stored} 个日块，用时 {took:.1f} 秒。",
        f"{said.published} readings counted on the topic, {said.slots} stored in {stored} day blocks in {took:.1f} s.",
    )
    stage.say(
        f"其中：重复 {said.repeated} 个读数，单点 {said.single} 个，迟到 {len(late)} 日，更正 1 日"
        f"（修订 {corrected.revision}，{said.corrected} 个读数），另有月冻结示数 {len(registers)} 个（由曲线推得）。",
        f"Among them {said.repeated} repeated, {said.single} single readings, {len(late)} late days, one corrected day"
        f" ({said.corrected} readings), and {len(registers)} monthly register freezes, derived from the curves.",
    )
    await _correction_counts(stage, corrected)


def _blocks(stage: Stage) -> list[IntervalBlockRecorded]:
    blocks = [block(cast.STEEL.usage_point_id, channel=c, day=d, values=v) for c, d, v in steel_plant()]
    by_profile = {m.profile: m for m in cast.MEMBERS if m.profile}
    yearly = {str(profile): m.yearly_mwh for profile, m in by_profile.items()}
    blocks += [
        block(by_profile[p].usage_point_id, channel="active-import", day=d, values=v)
        for p, d, v in site_profiles(yearly_mwh=yearly)
    ]
    stage.random.shuffle(blocks)
    return blocks


def _corrected(blocks: Sequence[IntervalBlockRecorded]) -> IntervalBlockRecorded:
    """One day of the steel plant told anew under the next revision, every value 10 Wh higher."""
    first = next(b for b in blocks if b.usage_point_id == cast.STEEL.usage_point_id and b.channel == "active-import")
    return first.model_copy(update={"revision": 1, "values": tuple((v or 0) + 10 for v in first.values)})


def _last_day_as_single_readings(
    blocks: Sequence[IntervalBlockRecorded],
) -> tuple[IntervalBlockRecorded, list[IntervalBlockRecorded]]:
    """The last measured curve of the steel plant's active energy, and the same values one reading an event."""
    mine = [b for b in blocks if b.usage_point_id == cast.STEEL.usage_point_id and b.channel == "active-import"]
    curve = max(mine, key=lambda b: b.start)
    day = curve.start.date()
    singles = [
        block(curve.usage_point_id, channel=curve.channel, day=day, values=[value], first_slot=slot)
        for slot, value in enumerate(curve.values)
        if value is not None
    ]
    return curve, singles


async def _correction_counts(stage: Stage, corrected: IntervalBlockRecorded) -> None:
    answer: dict[str, Any] = await stage.ok(
        "GET", "portrait", f"/customers/{cast.STEEL.customer_id}/readings?day={corrected.start.date().isoformat()}",
        cast.MANAGER,
    )  # fmt: skip
    if tuple(answer["curves"][0]["energy_wh"]) != corrected.values:
        raise NotSeen(f"the corrected curve of {corrected.start.date()} does not count")
    stage.say(
        f"接口读回 {corrected.start.date()} 的曲线，与更正后的逐点一致。",
        f"Read back over HTTP, the curve of {corrected.start.date()} is the corrected one, value by value.",
    )
