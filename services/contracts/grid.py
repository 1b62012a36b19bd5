"""What dispatch says: feeders, faults, loads, weather."""

from typing import Annotated, Literal

from pydantic import Field

from services.contracts.envelope import Event, Id, Instant, Kw, Label, Part, Version


class FeederSection(Part):
    section_id: Id
    usage_point_ids: Annotated[tuple[Id, ...], Field(max_length=2000)] = ()


class FeederChanged(Event):
    TYPE = "keyline.grid.feeder-changed.v1"
    TITLE_ZH = "馈线台账已变更"
    TOPIC = "grid-topology"
    KEY = "feeder_id"
    DELIVERY = "state"

    feeder_id: Id
    version: Version
    name: Label
    substation_id: Id
    area_id: Id
    rating_kva: Kw
    sections: Annotated[tuple[FeederSection, ...], Field(max_length=200)]


class FaultDetected(Event):
    """`section_ids` empty means the whole feeder is without supply."""

    TYPE = "keyline.grid.fault-detected.v1"
    TITLE_ZH = "馈线故障已发生"
    TOPIC = "grid-faults"
    KEY = "feeder_id"

    feeder_id: Id
    fault_id: Id
    section_ids: Annotated[tuple[Id, ...], Field(max_length=200)] = ()
    cause: Literal["lightning", "tree", "equipment", "third-party", "overload", "weather", "unknown"] = "unknown"
    detected_at: Instant


class SupplyRestored(Event):
    TYPE = "keyline.grid.supply-restored.v1"
    TITLE_ZH = "馈线已恢复供电"
    TOPIC = "grid-faults"
    KEY = "feeder_id"

    feeder_id: Id
    fault_id: Id
    restored_at: Instant


class FeederLoadRecorded(Event):
    TYPE = "keyline.grid.feeder-load-recorded.v1"
    TITLE_ZH = "馈线负荷已采集"
    TOPIC = "grid-loads"
    KEY = "feeder_id"

    feeder_id: Id
    load_kw: Kw
    measured_at: Instant


class WeatherReported(Event):
    TYPE = "keyline.grid.weather-reported.v1"
    TITLE_ZH = "天气已通报"
    TOPIC = "weather"
    KEY = "area_id"

    area_id: Id
    maximum_deg_c: Annotated[float, Field(ge=-60, le=60)]
    wind_beaufort: Annotated[int, Field(ge=0, le=17)]
    thunder: bool
    valid_from: Instant
    valid_to: Instant


EVENTS: tuple[type[Event], ...] = (FeederChanged, FaultDetected, SupplyRestored, FeederLoadRecorded, WeatherReported)
