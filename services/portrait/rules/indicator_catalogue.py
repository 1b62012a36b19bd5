"""What each of the seven portrait indicators is: formula, window, unit, sources. Proposals of the house."""

from dataclasses import dataclass
from datetime import date

from services.portrait.rules.portrait_indicators import INDICATORS


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """`window_months` counts back from the day; 0 stands for what holds on the day itself."""

    number: int
    name_zh: str
    name_en: str
    formula_zh: str
    formula_en: str
    unit: str
    window_months: int
    sources: tuple[str, ...]
    larger_is: str


_CURVES = ("keyline.metering.interval-block-recorded.v1",)
CATALOGUE: dict[str, Described] = {
    "supply_nature_score": Described(
        number=1, name_zh="用电性质", name_en="nature of use", unit="points", window_months=0, larger_is="more",
        formula_zh="各户号重要等级分与用电性质分的最大值", sources=("keyline.marketing.customer-changed.v1",),
        formula_en="the highest of importance grade and nature of use over all accounts, by the dated table",
    ),
    "avg_monthly_kwh": Described(
        number=2, name_zh="月均电量", name_en="mean monthly energy", unit="kWh", window_months=12, larger_is="more",
        formula_zh="最近12个完整月电量之和 ÷ 12（按对数比较）", sources=_CURVES,
        formula_en="energy of the last twelve whole months / 12; compared on a logarithmic scale",
    ),
    "monthly_service_rate": Described(
        number=3, name_zh="月服务率", name_en="monthly service rate", unit="contacts per month and 1,000 kVA",
        window_months=12, larger_is="need", formula_zh="（工单 + 会话 + 走访）÷ 月数 ÷ 合同容量（千 kVA）",
        formula_en="(tickets + conversations + visits) / months / contract capacity in 1,000 kVA",
        sources=(
            "keyline.notify.ticket-opened.v1", "keyline.notify.conversation-opened.v1",
            "keyline.inspection.inspection-submitted.v1",
        ),
    ),
    "kwh_growth_rate": Described(
        number=4, name_zh="电量增长率", name_en="growth of energy", unit="share", window_months=24, larger_is="more",
        formula_zh="（近12个月电量 − 前12个月电量）÷ 前12个月电量", sources=_CURVES,
        formula_en="(last twelve months - twelve before) / twelve before; all 24 must be whole",
    ),
    "complaint_rate": Described(
        number=5, name_zh="投诉率", name_en="complaint rate", unit="share", window_months=12, larger_is="worse",
        formula_zh="投诉 ÷ 服务接触", formula_en="complaints / service contacts",
        sources=("keyline.notify.ticket-opened.v1", "keyline.notify.conversation-opened.v1"),
    ),
    "violation_index": Described(
        number=6, name_zh="违约用电、窃电", name_en="violations and thefts", unit="index", window_months=36,
        larger_is="worse", formula_zh="Σ（违约1，窃电3）× 0.5^年数",
        sources=("keyline.marketing.violation-recorded.v1",),
        formula_en="sum of 1 per violation and 3 per theft, each halved with every year of age",
    ),
    "penalty_bill_share": Described(
        number=7, name_zh="累计违约电费占比", name_en="penalties in bills", unit="share", window_months=36,
        larger_is="worse", formula_zh="（违约使用电费 + 电费违约金）÷ 电费合计",
        formula_en="(breach fees + late fees) / bills",
        sources=("keyline.marketing.violation-recorded.v1", "keyline.marketing.bill-issued.v1"),
    ),
}  # fmt: skip
assert tuple(CATALOGUE) == INDICATORS


def months_known(*, since: date | None, as_of: date, window: int) -> int:
    """Whole months of the window in which the customer was one; at most `window`."""
    if since is None or since > as_of:
        return 0
    passed = (as_of.year - since.year) * 12 + as_of.month - since.month - (as_of.day < since.day)
    return min(window, passed)
