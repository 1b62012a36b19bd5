"""Data before its archive, and the archive: what waits is applied when its reference arrives."""

from datetime import date, timedelta
from decimal import Decimal

from deploy.demo import cast
from deploy.demo.measured import AS_OF, block, steel_plant
from deploy.demo.stage import Stage
from services.contracts.envelope import Event
from services.contracts.grid import FaultDetected, SupplyRestored
from services.contracts.marketing import BillIssued

EARLY_FAULT = "FAULT-EARLY"


async def data_comes_before_the_archive(stage: Stage) -> None:
    stage.chapter("一、数据先于档案到达", "Data before the archive")
    curves = list(steel_plant())[:10]
    since = AS_OF - timedelta(days=40)
    fault = FaultDetected(feeder_id="F-12", fault_id=EARLY_FAULT, detected_at=since)
    restored = SupplyRestored(feeder_id="F-12", fault_id=EARLY_FAULT, restored_at=since + timedelta(hours=3))
    await stage.step("early")
    await stage.publisher.send(block(cast.STEEL.usage_point_id, channel=c, day=d, values=v) for c, d, v in curves)
    await stage.publisher.send([restored, fault, _bill()])
    waits = "SELECT reference_kind FROM {}.waiting ORDER BY 1"
    await stage.outside.until("waiting fault", waits.format("outage"), lambda r: len(r) == 2)
    await stage.outside.until("waiting bill", waits.format("portrait"), lambda r: [x[0] for x in r] == ["account"])
    await stage.outside.until(
        "early curves", "SELECT count(*) FROM portrait.interval_block", lambda r: r[0][0] == len(curves)
    )
    stage.say(
        f"{len(curves)} 条日曲线、1 张电费账单、1 起故障及其复电早于档案到达：曲线先存，其余等待。",
        f"{len(curves)} day curves, a bill, a fault and its end came first: curves are kept, the others wait.",
    )


def _bill() -> BillIssued:
    """The amount is invented; the energy is what the steel plant's curve held in that month."""
    month = [v for c, d, v in steel_plant() if c == "active-import" and (d.year, d.month) == (2025, 11)]
    energy_wh = sum(value or 0 for values in month for value in values)
    return BillIssued(
        account_id=cast.STEEL.account_id, bill_id="B-2025-11", period_from=date(2025, 11, 1),
        period_to=date(2025, 12, 1), energy_kwh=Decimal(energy_wh) / 1000, amount_yuan=Decimal("52000.00"),
        due_on=date(2025, 12, 20),
    )  # fmt: skip


async def archive_organisation_and_network_arrive(stage: Stage) -> None:
    stage.chapter("二、档案、组织、电网", "Archive, organisation, network")
    # What a post may do is told anew with every unit that becomes known, so the tree is there first.
    await stage.publisher.send(cast.units())
    await stage.settled(waiting=True)
    events: list[Event] = [*cast.posts(), *cast.people(), *map(cast.customer, cast.MEMBERS)]
    stage.random.shuffle(events)
    await stage.step("archive")
    await stage.publisher.send(events)
    wanted = len(cast.MEMBERS)
    for service in ("inspection", "outage", "notify"):
        await stage.outside.until(
            f"profiles in {service}",
            f"SELECT count(*) FROM {service}.customer",  # noqa: S608  (a literal of this file)
            lambda r: r[0][0] == wanted,
        )
    people = len(cast.STAFF) + len(cast.MEMBERS) + 1
    for service in stage.house.services:
        await stage.outside.until(
            f"grants in {service}",
            f"SELECT count(DISTINCT person_id) FROM {service}.access_grant",  # noqa: S608
            lambda r: r[0][0] == people,
        )
    await stage.settled(waiting=True)
    await stage.step("network")
    await stage.publisher.send(cast.feeders())
    await stage.settled()
    [early] = await stage.outside.rows(
        "SELECT o.status, count(*) AS points FROM outage.outage o JOIN outage.affected USING (outage_id)"
        " WHERE o.fault_id = $1 GROUP BY 1", EARLY_FAULT,
    )  # fmt: skip
    bills = await stage.outside.one("SELECT count(*) FROM portrait.bill WHERE NOT cancelled")
    stage.say(
        f"{wanted} 户客户、{people} 人进入各服务；等待的账单与故障（{early['points']} 点，已复电）已应用。",
        f"{wanted} customers and {people} people are known; the {bills} bill and the fault ({early['points']} usage"
        " points, restored) that waited are applied, and nobody's phone rang for what is over.",
    )
