"""The loop, told as it happens. Every figure is counted from outside: database, topics, sandbox."""

import asyncio
import io
import random
import time
from datetime import timedelta
from typing import Any

from PIL import Image
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from deploy.demo import cast
from deploy.demo.measured import AS_OF, block, oil_temperature, site_profiles, steel_plant
from deploy.demo.outside import NotSeen, Outside
from deploy.demo.publisher import Publisher
from deploy.local.house import House
from services.contracts.envelope import Event
from services.contracts.grid import FaultDetected, SupplyRestored

FAULT = "FAULT-2026-0001"
MONTH = "2025-12"
CHUNK = 60


class Story:
    def __init__(self, *, house: House, publisher: Publisher, console: Console, seed: int) -> None:
        self.house = house
        self.outside = Outside(house)
        self.publisher = publisher
        self.console = console
        self.random = random.Random(seed)  # noqa: S311  (the order of a demo, not a secret)
        self.readings = 0

    def say(self, zh: str, en: str) -> None:
        self.console.print(f"  {zh}\n  [dim]{en}[/dim]", highlight=False)

    def chapter(self, zh: str, en: str) -> None:
        self.console.rule(f"{zh} · {en}", align="left")

    async def tell(self) -> None:
        await self.early_readings_wait()
        await self.people_and_network_arrive()
        await self.a_year_of_curves_arrives()
        await self.the_month_is_scored()
        await self.a_hazard_is_found_and_closed()
        await self.a_stuck_measurement_is_suspected()
        await self.a_feeder_fails_and_returns()

    async def early_readings_wait(self) -> None:
        self.chapter("一、数据先于档案到达", "Data before the archive")
        curves = list(steel_plant())[:10]
        await self.publisher.send(block(cast.STEEL.usage_point_id, channel=c, day=d, values=v) for c, d, v in curves)
        fault = FaultDetected(feeder_id="F-12", fault_id="FAULT-EARLY", detected_at=AS_OF - timedelta(days=40))
        restored = SupplyRestored(
            feeder_id="F-12", fault_id="FAULT-EARLY", restored_at=AS_OF - timedelta(days=40, hours=-3)
        )
        await self.publisher.send([restored, fault])
        await self.outside.until("waiting fault", "SELECT reference_kind FROM outage.waiting", lambda r: len(r) >= 1)
        await self.outside.until(
            "early curves", "SELECT count(*) FROM portrait.interval_block", lambda r: r[0][0] == len(curves)
        )
        self.say(
            f"{len(curves)} 条日曲线与 1 起故障早于档案到达：曲线先存，故障等待馈线。",
            f"{len(curves)} day curves and one fault came before their customer: curves are kept, the fault waits.",
        )

    async def people_and_network_arrive(self) -> None:
        self.chapter("二、档案、组织、电网", "Archive, organisation, network")
        events: list[Event] = [*cast.organisation(), *cast.people(), *map(cast.customer, cast.MEMBERS), *cast.feeders()]
        self.random.shuffle(events)
        await self.publisher.send(events)
        wanted = len(cast.MEMBERS)
        for service in ("inspection", "outage", "notify"):
            await self.outside.until(
                f"profiles in {service}",
                f"SELECT count(*) FROM {service}.customer",  # noqa: S608  (a literal of this file)
                lambda r: r[0][0] == wanted,
            )
        for service in ("inspection", "outage", "portrait", "notify"):
            await self.outside.until(
                f"grants in {service}",
                f"SELECT count(DISTINCT person_id) FROM {service}.access_grant",  # noqa: S608
                lambda r: r[0][0] == len(cast.STAFF) + len(cast.MEMBERS) + 1,
            )
        await self.outside.until("nothing waits", "SELECT 1 FROM outage.waiting", lambda r: not r)
        self.say(
            f"{wanted} 户客户进入四个服务的视图；等待的故障已应用。",
            f"{wanted} customers stand in the views of all services; what waited has been applied.",
        )

    async def a_year_of_curves_arrives(self) -> None:
        self.chapter("三、一年的实测曲线", "A measured year")
        blocks = self._blocks()
        extra = self._repeats_and_corrections(blocks)
        begun = time.monotonic()
        with self._bar("发布与入库 publish and store", len(blocks) + len(extra)) as (progress, task):
            for batch in self._chunks([*blocks, *extra]):
                await self.publisher.send(batch)
                progress.advance(task, len(batch))
        self.readings = sum(len(b.values) for b in [*blocks, *extra])
        days = len({(b.usage_point_id, b.channel, b.start.date()) for b in blocks})
        await self.outside.until(
            "day blocks", "SELECT count(*) FROM portrait.interval_block", lambda r: r[0][0] >= days, seconds=90
        )
        await self.settled()
        stored = await self.outside.one("SELECT count(*) FROM portrait.interval_block")
        self.say(
            f"{self.readings} 个读数发布，入库为 {stored} 个日块，用时 {time.monotonic() - begun:.1f} 秒。",
            f"{self.readings} readings published, stored as {stored} day blocks in {time.monotonic() - begun:.1f} s.",
        )

    def _blocks(self) -> list[Any]:
        blocks = [block(cast.STEEL.usage_point_id, channel=c, day=d, values=v) for c, d, v in steel_plant()]
        by_profile = {m.profile: m for m in cast.MEMBERS if m.profile}
        yearly = {str(profile): m.yearly_mwh for profile, m in by_profile.items()}
        blocks += [
            block(by_profile[p].usage_point_id, channel="active-import", day=d, values=v)
            for p, d, v in site_profiles(yearly_mwh=yearly)
        ]
        self.random.shuffle(blocks)
        return blocks

    def _repeats_and_corrections(self, blocks: list[Any]) -> list[Any]:
        """Duplicates, the last day as single readings, and a day that was corrected later."""
        repeated = self.random.sample(blocks, k=100)
        first = next(
            b for b in blocks if b.usage_point_id == cast.STEEL.usage_point_id and b.channel == "active-import"
        )
        corrected = first.model_copy(update={"revision": 1, "values": tuple((v or 0) + 10 for v in first.values)})
        day = max(d for _, d, _ in steel_plant()) + timedelta(days=1)
        singles = [
            block(cast.STEEL.usage_point_id, channel="active-import", day=day, values=[1000 + s], first_slot=s)
            for s in range(24)
        ]
        return [*repeated, corrected, *singles]

    async def the_month_is_scored(self) -> None:
        self.chapter("四、月度能效评分", "Monthly efficiency scores")
        status, body = await self.outside.call("POST", "portrait", f"/portrait/v1/scores/{MONTH}", person_id=cast.CHIEF)
        if status != 202:
            raise NotSeen(f"score run refused: {status} {body}")
        wanted = len(cast.MEMBERS)
        rows = await self.outside.until(
            "scores",
            "SELECT c.name, s.score, s.band, s.not_scored_because FROM portrait.score s"
            " JOIN portrait.customer c USING (customer_id) WHERE s.month = $1 ORDER BY c.customer_id",
            lambda r: len(r) >= wanted, MONTH, seconds=60,
        )  # fmt: skip
        for row in rows:
            result = f"{row[1]:.1f} {row[2]}" if row[1] is not None else f"未评分 not scored: {row[3]}"
            self.console.print(f"    {row[0]:<40} {result}", highlight=False)
        classes = await self.outside.rows(
            "SELECT customer_id, classes, attention_level FROM portrait.profile ORDER BY customer_id"
        )
        for row in classes:
            self.console.print(f"    {row[0]}: {', '.join(row[1]) or '—'} · attention {row[2]}", highlight=False)

    async def a_hazard_is_found_and_closed(self) -> None:
        self.chapter("五、三步检查与隐患闭环", "Inspection and the closed loop")
        begun = time.monotonic()
        report = {
            "site_id": cast.STEEL.site_id,
            "inspector_ids": [cast.INSPECTOR_A, cast.INSPECTOR_B],
            "companion": "客户代表",
            "items": [
                {"code": "I01", "value": True},
                {"code": "T10", "value": False, "note": "瓦斯保护退出"},
                {"code": "D09", "value": True},
            ],
        }
        submitted = await self._ok("POST", "/visits", cast.INSPECTOR_A, body=report)
        [hazard] = submitted["hazard_ids"]
        told = await self._first_told(hazard)
        self.say(
            f"瓦斯保护退出（危急），{(time.monotonic() - begun) * 1000:.0f} 毫秒后已告知 {told}。",
            f"Gas protection out of service (critical); {told} told after {(time.monotonic() - begun) * 1000:.0f} ms.",
        )
        photo = io.BytesIO()
        Image.effect_noise((320, 240), 60).convert("RGB").save(photo, "JPEG")
        await self._ok("POST", f"/hazards/{hazard}/rectify", cast.STEEL.contact_id, form=("photo", photo.getvalue()))
        refused, _ = await self.outside.call(
            "POST", "inspection", f"/inspection/v1/hazards/{hazard}/verify", person_id=cast.INSPECTOR_A, body={}
        )
        if refused != 403:
            raise NotSeen(f"the finder verified its own hazard: {refused}")
        await self._ok("POST", f"/hazards/{hazard}/verify", cast.INSPECTOR_C, body={})
        await self._ok("POST", f"/hazards/{hazard}/close", cast.INSPECTOR_C, body={})
        self.say(
            "整改照片已上传，发现人不得自验，由另一名检查员复验并闭环。",
            "Rectified with a photo; the finder's own check was refused, another inspector verified and closed.",
        )

    async def _ok(self, method: str, path: str, person_id: str, **sent: Any) -> Any:
        status, body = await self.outside.call(
            method, "inspection", f"/inspection/v1{path}", person_id=person_id, **sent
        )
        if status >= 300:
            raise NotSeen(f"{method} {path} as {person_id}: {status} {body}")
        return body

    async def _first_told(self, subject: str) -> str:
        rows = await self.outside.until(
            "message",
            "SELECT person_id FROM notify.delivery WHERE subject_id = $1 AND channel = 'wechat'"
            " AND state IN ('accepted', 'delivered') ORDER BY accepted_at",
            lambda r: len(r) >= 1, subject, seconds=30,
        )  # fmt: skip
        return ", ".join(r[0] for r in rows)

    async def a_stuck_measurement_is_suspected(self) -> None:
        self.chapter("六、油温冻结", "A frozen oil temperature")
        events = list(oil_temperature(cast.STEEL.asset_id, days=730))
        with self._bar("油温 oil temperature", len(events)) as (progress, task):
            for batch in self._chunks(events):
                await self.publisher.send(batch)
                progress.advance(task, len(batch))
        rows = await self.outside.until(
            "suspected hazard",
            "SELECT hazard_id::text, item_code FROM inspection.hazard WHERE suspected AND asset_id = $1",
            lambda r: len(r) >= 1, cast.STEEL.asset_id, seconds=60,
        )  # fmt: skip
        await self.settled()
        self.say(
            f"实测油温曾整段不变：开出 {len(rows)} 项疑似“测量卡滞”，等检查员确认或作废。",
            f"The measured oil temperature stood still: {len(rows)} suspected hazard, for an inspector to judge.",
        )

    async def a_feeder_fails_and_returns(self) -> None:
        self.chapter("七、馈线故障", "A feeder fails")
        begun = time.monotonic()
        now = AS_OF + timedelta(seconds=time.time() - self.house.clock_started_at())
        await self.publisher.send([FaultDetected(feeder_id="F-12", fault_id=FAULT, detected_at=now)], time=now)
        touched = "SELECT o.outage_id FROM outage.outage o WHERE o.fault_id = $1"
        [outage] = await self.outside.until("outage", touched, lambda r: len(r) == 1, FAULT)
        told = (
            "SELECT person_id FROM notify.delivery WHERE subject_id = $1 AND event_class LIKE '%fault%'"
            " AND channel = 'wechat' AND state IN ('accepted', 'delivered')"
        )
        people = await self.outside.until("fault messages", told, lambda r: len(r) >= 4, str(outage[0]), seconds=30)
        self.say(
            f"F-12 停电：{len(people)} 人各收到一条消息，用时 {(time.monotonic() - begun) * 1000:.0f} 毫秒（含轮询）。",
            f"F-12 out: {len(people)} people got one message each after {(time.monotonic() - begun) * 1000:.0f} ms.",
        )
        later = now + timedelta(minutes=1)
        await self.publisher.send([SupplyRestored(feeder_id="F-12", fault_id=FAULT, restored_at=later)], time=now)
        await self.outside.until(
            "restoration messages",
            "SELECT person_id FROM notify.delivery WHERE subject_id = $1 AND event_class LIKE '%restor%'"
            " AND channel = 'wechat' AND state IN ('accepted', 'delivered')",
            lambda r: len(r) >= len(people), str(outage[0]), seconds=30,
        )  # fmt: skip
        self.say("恢复供电只告知被告知过停电的人。", "Restoration went to those who had been told of the outage.")
        await self.settled()

    async def settled(self, *, seconds: float = 60) -> None:
        """Until no service has an outbox row, a due delivery or a waiting reference left."""
        open_work = " UNION ALL ".join(
            f"SELECT 1 FROM {s}.outbox WHERE published_at IS NULL"  # noqa: S608  (literals of this file)
            for s in self.house.services
        )
        quiet = 0
        end = time.monotonic() + seconds
        while quiet < 3:
            quiet = quiet + 1 if not await self.outside.rows(open_work) else 0
            if time.monotonic() > end:
                raise NotSeen("the outboxes did not drain")
            await asyncio.sleep(0.2)

    def _chunks(self, events: list[Any]) -> list[list[Any]]:
        return [events[n : n + CHUNK] for n in range(0, len(events), CHUNK)]

    def _bar(self, title: str, total: int) -> "_Bar":
        return _Bar(self.console, title, total)


class _Bar:
    def __init__(self, console: Console, title: str, total: int) -> None:
        self._progress = Progress(
            TextColumn("  " + title), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=console
        )
        self._total = total

    def __enter__(self) -> tuple[Progress, Any]:
        self._progress.start()
        return self._progress, self._progress.add_task("", total=self._total)

    def __exit__(self, *_: object) -> None:
        self._progress.stop()
