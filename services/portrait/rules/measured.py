"""A figure, or the reason why there is none. Nothing is estimated silently."""

from typing import NamedTuple, Self

REASONS: dict[str, tuple[str, str]] = {
    "no-data": ("没有可用的电量数据", "there are no interval data"),
    "incomplete-data": ("数据完整率低于要求", "the data are less complete than required"),
    "zero-energy": ("该期间用电量为零", "no energy was used in the period"),
    "zero-peak": ("该期间最大负荷为零", "the highest load of the period is zero"),
    "no-capacity": ("缺少合同容量", "the contract capacity is not known"),
    "no-contract-demand": ("未约定最大需量", "no maximum demand is contracted"),
    "no-reactive-energy": ("缺少无功电量", "reactive energy is not measured"),
    "below-assessment-border": ("容量低于功率因数考核范围", "the capacity lies below the power factor assessment"),
    "unknown-nature": ("用电性质未登记或未映射", "the nature of use is not registered or not mapped"),
    "fewer-than-12-months": ("不足12个月数据", "fewer than 12 months of data"),
    "fewer-than-24-months": ("不足24个月数据", "fewer than 24 months of data"),
    "no-months": ("统计期间为空", "the period holds no month"),
    "no-service-contacts": ("统计期间没有服务接触", "there was no service contact in the period"),
    "no-bills": ("统计期间没有电费账单", "there is no bill in the period"),
    "no-submetering": ("没有分表数据", "there are no sub-meters behind the meter"),
    "no-output": ("没有产量数据", "the customer's output is not reported"),
    "price-is-no-measure": (
        "度电成本随电价变动，不作评分依据",
        "the price per kWh moves with tariffs; it is not scored",
    ),
    "no-phase-currents": ("没有分相电流数据", "currents of the phases are not metered"),
    "no-phase-voltages": ("没有分相电压数据", "voltages of the phases are not metered"),
    "no-harmonics": ("没有谐波数据", "harmonics are not metered"),
    "no-scheme": ("没有适用的评分方案", "no score scheme applies"),
    "too-few-indicators": ("可用指标的权重不足", "the indicators at hand carry too little weight"),
}
"""Code -> text in Chinese and English."""


class Measured(NamedTuple):
    """`value` is None exactly when `reason` is a key of REASONS."""

    value: float | None
    reason: str | None = None

    @classmethod
    def missing(cls, reason: str) -> Self:
        assert reason in REASONS, reason
        return cls(None, reason)


def ratio(numerator: float, denominator: float, *, otherwise: str) -> Measured:
    """The quotient, or `otherwise` as the reason when the denominator is not positive."""
    return Measured(numerator / denominator) if denominator > 0 else Measured.missing(otherwise)
