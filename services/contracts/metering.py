"""What metering systems say: intervals, registers, meter changes, equipment readings, alarms."""

from datetime import datetime, timedelta
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import Field, model_validator

from services.contracts.envelope import Event, Id, Instant, Kw

_ZONE = ZoneInfo("Asia/Shanghai")

Channel = Literal["active-import", "active-export", "reactive-lagging", "reactive-leading"]
Quality = Literal["measured", "estimated", "manual", "questionable", "missing"]
Int32 = Annotated[int, Field(ge=-(2**31) + 1, le=2**31 - 1)]


class IntervalBlockRecorded(Event):
    """A run of equal intervals of one channel within one Asia/Shanghai day; one reading is a block of length 1.

    `values` are Wh or varh for kind `energy`, W or var for `mean-power`; null is "not read".
    A slot told twice is won by revision, then quality, then source time, then the event's identity.
    """

    TYPE = "keyline.metering.interval-block-recorded.v1"
    TITLE_ZH = "分时电量段已采集"
    TOPIC = "metering-readings"
    KEY = "usage_point_id"

    usage_point_id: Id
    channel: Channel
    kind: Literal["energy", "mean-power"]
    start: Instant
    step_minutes: Literal[15, 30, 60]
    values: Annotated[tuple[Int32 | None, ...], Field(min_length=1, max_length=96)]
    quality: Quality | Annotated[tuple[Quality, ...], Field(min_length=1, max_length=96)]
    revision: Annotated[int, Field(ge=0, le=2**31 - 1)]
    source_time: Instant

    @model_validator(mode="after")
    def _fits_into_one_day(self) -> Self:
        local = self.start.astimezone(_ZONE)
        if local.minute % self.step_minutes or local.second or local.microsecond:
            raise ValueError("start: does not lie on a multiple of step_minutes; send the interval's start")
        last = local + timedelta(minutes=self.step_minutes * len(self.values)) - timedelta(microseconds=1)
        if last.date() != local.date():
            raise ValueError("values: run past midnight in Asia/Shanghai; send one block per day")
        if isinstance(self.quality, tuple) and len(self.quality) != len(self.values):
            raise ValueError("quality: needs one code per value, or one code for all")
        return self


class RegisterReadingFrozen(Event):
    """A register as frozen by the meter, before the multiplier. Demand carries the time at which it occurred."""

    TYPE = "keyline.metering.register-reading-frozen.v1"
    TITLE_ZH = "电表示数已冻结"
    TOPIC = "metering-readings"
    KEY = "usage_point_id"

    usage_point_id: Id
    meter_id: Id
    register_name: Literal[
        "active-import", "active-export", "reactive-q1", "reactive-q2", "reactive-q3", "reactive-q4", "maximum-demand"
    ]
    tou_period: Literal["total", "sharp", "peak", "flat", "valley", "deep-valley"] = "total"
    value: Kw
    multiplier: Annotated[int, Field(ge=1, le=1_000_000, description="CT x PT")]
    frozen_at: Instant
    demand_at: Instant | None = None
    revision: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0


class MeterChanged(Event):
    """The old meter's last and the new meter's first registers, so that consumption goes on without a jump."""

    TYPE = "keyline.metering.meter-changed.v1"
    TITLE_ZH = "电能表已更换"
    TOPIC = "metering-readings"
    KEY = "usage_point_id"

    usage_point_id: Id
    old_meter_id: Id
    new_meter_id: Id
    old_active_import_kwh: Kw
    new_active_import_kwh: Kw
    new_multiplier: Annotated[int, Field(ge=1, le=1_000_000)]
    changed_at: Instant


class EquipmentReadingRecorded(Event):
    """Values of one quantity of one asset at equal steps from `measured_from`."""

    TYPE = "keyline.metering.equipment-reading-recorded.v1"
    TITLE_ZH = "设备量测已采集"
    TOPIC = "metering-equipment"
    KEY = "asset_id"

    asset_id: Id
    quantity: Literal["top-oil-temperature", "load-rate", "phase-current", "voltage", "thd"]
    unit: Literal["degC", "percent", "A", "V"]
    measured_from: Instant
    step_minutes: Annotated[int, Field(ge=1, le=1440)]
    values: Annotated[tuple[Annotated[float, Field(ge=-1e6, le=1e6)] | None, ...], Field(min_length=1, max_length=1440)]
    synthetic: bool = False

    def instants(self) -> list[datetime]:
        step = timedelta(minutes=self.step_minutes)
        return [self.measured_from + n * step for n in range(len(self.values))]


class _Alarm(Event):
    TOPIC = "metering-alarms"
    KEY = "usage_point_id"

    usage_point_id: Id
    occurred_at: Instant


class LastGaspReceived(_Alarm):
    TYPE = "keyline.metering.last-gasp-received.v1"
    TITLE_ZH = "表计失电告警"


class PowerRestored(_Alarm):
    TYPE = "keyline.metering.power-restored.v1"
    TITLE_ZH = "表计复电上报"


class VoltageSagRecorded(_Alarm):
    """Residual voltage in percent of the nominal, and how long."""

    TYPE = "keyline.metering.voltage-sag-recorded.v1"
    TITLE_ZH = "电压暂降已记录"

    residual_percent: Annotated[float, Field(ge=0, le=100)]
    duration_ms: Annotated[int, Field(ge=1, le=3_600_000)]


EVENTS: tuple[type[Event], ...] = (
    IntervalBlockRecorded,
    RegisterReadingFrozen,
    MeterChanged,
    EquipmentReadingRecorded,
    LastGaspReceived,
    PowerRestored,
    VoltageSagRecorded,
)
