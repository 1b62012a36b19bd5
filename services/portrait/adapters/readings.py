"""What a file of interval data says, row by row, whatever its format."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Literal
from zoneinfo import ZoneInfo

ZONE = ZoneInfo("Asia/Shanghai")
STEPS = (15, 30, 60)
Kind = Literal["energy", "mean-power"]

REASONS: dict[str, tuple[str, str]] = {
    "no-usage-point": ("没有计量点编号", "the usage point is missing"),
    "bad-usage-point": ("计量点编号含有不允许的字符或过长", "the usage point has characters that ids may not have"),
    "bad-time": ("时间无法识别", "the time cannot be read"),
    "off-step": ("时间不在间隔的整点上", "the time does not lie on a multiple of the step"),
    "bad-channel": ("通道无法识别", "the channel is not known"),
    "unit-not-of-channel": ("单位与通道不符（有功或无功）", "the unit does not fit the channel (active or reactive)"),
    "bad-number": ("数值无法识别", "the number cannot be read"),
    "too-large": ("数值超出可存范围", "the value is too large to be stored"),
    "bad-quality": ("质量标志无法识别", "the quality is not known"),
    "bad-revision": ("修订号须为非负整数", "the revision has to be a whole number from 0"),
    "bad-unit": ("单位无法识别", "the unit is not known"),
    "bad-step": ("间隔不是15、30或60分钟", "the interval is not 15, 30 or 60 minutes"),
    "reading-type-not-taken": (
        "该读数类型不是区间电量或平均功率，未导入",
        "this reading type is no interval energy or power",
    ),
    "no-reading-type": ("读数没有对应的读数类型或计量点", "no reading type or usage point belongs to the readings"),
    "implausible-time": ("时间超出可接受的范围", "the time is too far from now"),
    "breaks-contract": ("不符合事件契约", "breaks the contract of the event"),
}
"""Why a row, or a cell of it, was not taken: code -> Chinese, English."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One interval. `value` in Wh or varh, for kind mean-power in W or var; `start` is its beginning."""

    row: int
    usage_point_id: str
    channel: str
    kind: Kind
    start: datetime
    step_minutes: int
    value: int
    quality: str = "measured"
    revision: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RowError:
    """A row or cell that was not taken; `text` is what stood there."""

    row: int
    column: str
    text: str
    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Hints:
    """What the sender knows of the file; each is asked for only where the file does not say it itself."""

    encoding: str | None = None
    usage_point_id: str | None = None
    channel: str | None = None
    unit: str | None = None
    step_minutes: int | None = None
    stamps: Literal["start", "end"] | None = None


class Unrecognised(Exception):
    """The file as a whole cannot be read until the sender says more (`field` names the hint) or sends another."""

    def __init__(self, *, zh: str, en: str, field: str) -> None:
        super().__init__(en)
        self.zh, self.en, self.field = zh, en, field


class CellError(Exception):
    def __init__(self, code: str) -> None:
        assert code in REASONS, code
        self.code = code


@dataclass(frozen=True, slots=True)
class Unit:
    """`factor` to the base unit (Wh, varh, W, var)."""

    factor: Decimal
    kind: Kind
    reactive: bool


def _units() -> dict[str, Unit]:
    prefixes = {"": Decimal(1), "k": Decimal(1000), "m": Decimal(1_000_000)}
    bases: Mapping[str, tuple[Kind, bool]] = {
        "wh": ("energy", False), "varh": ("energy", True), "w": ("mean-power", False), "var": ("mean-power", True),
    }  # fmt: skip
    found = {p + b: Unit(f, kind, reactive) for p, f in prefixes.items() for b, (kind, reactive) in bases.items()}
    words = {
        "度": "kwh", "千瓦时": "kwh", "千瓦": "kw", "兆瓦时": "mwh", "兆瓦": "mw", "瓦时": "wh", "瓦": "w",
        "千乏时": "kvarh", "千乏": "kvar",
    }  # fmt: skip
    return found | {word: found[name] for word, name in words.items()}


UNITS = _units()
"""Lower case; `mwh` is megawatt hours. Milliwatts do not occur in this trade."""
_INT32 = 2**31 - 1


def to_base_unit(text: str, unit: Unit) -> int:
    """Whole Wh, varh, W or var, rounded half up. Raises CellError."""
    plain = text.replace(",", "") if "," in text and _grouped(text) else text
    try:
        number = Decimal(plain)
    except InvalidOperation:
        raise CellError("bad-number") from None
    if not number.is_finite():
        raise CellError("bad-number")
    if number.adjusted() > 12:
        raise CellError("too-large")
    value = int((number * unit.factor).to_integral_value(ROUND_HALF_UP))
    if abs(value) > _INT32:
        raise CellError("too-large")
    return value


def _grouped(text: str) -> bool:
    head, *rest = text.lstrip("-+").split(".")[0].split(",")
    return 1 <= len(head) <= 3 and all(len(part) == 3 for part in rest)
