"""What the marketing system says: the archive, contacts, bills, applications, violations."""

from datetime import date
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field

from services.contracts.envelope import Event, Id, Instant, Kva, Kw, Label, Part, Version, Yuan

ImportanceGrade = Literal["none", "temporary", "grade-2", "grade-1", "special"]
CustomerRole = Literal["customer-contact", "customer-electrician", "customer-administrator"]


class AgreementTerms(Part):
    """Facts of an account that hold in `[valid_from, valid_to)`; later messages may correct them backwards."""

    valid_from: date
    valid_to: date | None = None
    industry_class: Annotated[str, Field(pattern=r"^[A-T]?\d{0,4}$", description="GB/T 4754")]
    supply_nature: Literal[
        "continuous-process", "industrial", "commercial", "agriculture", "public-service", "seasonal"
    ]
    voltage_kv: Annotated[Decimal, Field(gt=0, le=1000, max_digits=6, decimal_places=2)]
    contract_capacity_kva: Kva
    operating_capacity_kva: Kva
    tariff_type: Literal["single-part", "two-part"]
    basic_charge_method: Literal["none", "capacity", "contract-demand", "actual-demand"] = "none"
    contract_demand_kw: Kw | None = None
    purchase_mode: Literal["agent", "retail", "wholesale"] = "agent"
    importance_grade: ImportanceGrade = "none"
    dual_supply: bool = False


class Account(Part):
    """A CustomerAgreement: one 户号."""

    account_id: Id
    service_area_id: Id
    terms: Annotated[tuple[AgreementTerms, ...], Field(min_length=1, max_length=200)]


class Site(Part):
    site_id: Id
    name: Label
    address: Label
    asset_ids: Annotated[tuple[Id, ...], Field(max_length=200)] = ()


class UsagePoint(Part):
    usage_point_id: Id
    account_id: Id
    site_id: Id
    feeder_ids: Annotated[tuple[Id, ...], Field(max_length=8)] = ()
    meter_id: Id | None = None
    multiplier: Annotated[int, Field(ge=1, le=1_000_000)] = 1


class Succession(Part):
    """Who this customer continues, or who continues it."""

    kind: Literal["transfer", "closure", "merge", "split"]
    other_customer_id: Id | None = None
    effective_on: date


class CustomerChanged(Event):
    """The whole archive of one enterprise as the marketing system knows it. No contacts."""

    TYPE = "keyline.marketing.customer-changed.v1"
    TITLE_ZH = "客户档案已变更"
    TOPIC = "marketing-customers"
    KEY = "customer_id"
    DELIVERY = "state"

    customer_id: Id
    version: Version
    name: Label
    former_names: Annotated[tuple[Label, ...], Field(max_length=20)] = ()
    social_credit_code: Annotated[str, Field(pattern=r"^[0-9A-Z]{18}$")] | None = None
    group_id: Id | None = None
    key_account: bool = True
    accounts: Annotated[tuple[Account, ...], Field(max_length=500)]
    sites: Annotated[tuple[Site, ...], Field(max_length=500)]
    usage_points: Annotated[tuple[UsagePoint, ...], Field(max_length=2000)]
    successions: Annotated[tuple[Succession, ...], Field(max_length=50)] = ()


class Engagement(Part):
    """What a person is to a customer, in `[valid_from, valid_to)`; no account listed means all of them."""

    engagement_id: Id
    customer_id: Id
    account_ids: Annotated[tuple[Id, ...], Field(max_length=500)] = ()
    role: CustomerRole
    valid_from: Instant
    valid_to: Instant | None = None


class PersonChanged(Event):
    """A contact person with everything the company may use to reach them. Personal data: read by notify only."""

    TYPE = "keyline.marketing.person-changed.v1"
    TITLE_ZH = "联系人已变更"
    TOPIC = "marketing-contacts"
    KEY = "person_id"
    DELIVERY = "state"

    person_id: Id
    version: Version
    name: Label
    phone: Annotated[str, Field(pattern=r"^\+?[0-9]{5,20}$")] | None = None
    email: Annotated[str, Field(max_length=200, pattern=r"^[^@\s]+@[^@\s]+$")] | None = None
    openid: Annotated[str, Field(pattern=r"^[A-Za-z0-9_\-]{6,64}$")] | None = None
    language: Literal["zh", "en"] = "zh"
    engagements: Annotated[tuple[Engagement, ...], Field(max_length=500)] = ()


class _Bill(Event):
    TOPIC = "marketing-bills"
    KEY = "account_id"

    account_id: Id
    bill_id: Id


class BillIssued(_Bill):
    """The month runs from reading to reading, `[period_from, period_to)`."""

    TYPE = "keyline.marketing.bill-issued.v1"
    TITLE_ZH = "电费账单已出账"

    period_from: date
    period_to: date
    energy_kwh: Kw
    amount_yuan: Yuan
    late_fee_yuan: Yuan = Decimal(0)
    due_on: date
    reissue_of: Id | None = None


class BillCancelled(_Bill):
    TYPE = "keyline.marketing.bill-cancelled.v1"
    TITLE_ZH = "电费账单已撤销"

    reason: Label


class PaymentRecorded(_Bill):
    TYPE = "keyline.marketing.payment-recorded.v1"
    TITLE_ZH = "缴费已入账"

    amount_yuan: Yuan
    paid_at: Instant


class ArrearsOpened(_Bill):
    TYPE = "keyline.marketing.arrears-opened.v1"
    TITLE_ZH = "欠费已产生"

    amount_yuan: Yuan
    since: date


class ArrearsCleared(_Bill):
    TYPE = "keyline.marketing.arrears-cleared.v1"
    TITLE_ZH = "欠费已结清"

    cleared_at: Instant


class ApplicationProgressed(Event):
    """A connection or capacity application reached a stage, from 报装 to 送电."""

    TYPE = "keyline.marketing.application-progressed.v1"
    TITLE_ZH = "业扩申请已推进"
    TOPIC = "marketing-applications"
    KEY = "account_id"

    account_id: Id
    application_id: Id
    kind: Literal["new-connection", "capacity-increase", "capacity-reduction", "suspension", "tariff-change"]
    stage: Literal["accepted", "surveyed", "quoted", "contracted", "built", "inspected", "energised", "withdrawn"]
    reached_at: Instant


class ViolationRecorded(Event):
    """A breach of use or theft (供电营业规则). Internal: no customer route shows it."""

    TYPE = "keyline.marketing.violation-recorded.v1"
    TITLE_ZH = "违约用电已记录"
    TOPIC = "marketing-violations"
    KEY = "account_id"

    account_id: Id
    violation_id: Id
    kind: Literal["V1", "V2", "V2b", "V3", "V4", "V4b", "V5", "V6", "theft"]
    occurred_on: date
    penalty_yuan: Yuan = Decimal(0)


EVENTS: tuple[type[Event], ...] = (
    CustomerChanged,
    PersonChanged,
    BillIssued,
    BillCancelled,
    PaymentRecorded,
    ArrearsOpened,
    ArrearsCleared,
    ApplicationProgressed,
    ViolationRecorded,
)
