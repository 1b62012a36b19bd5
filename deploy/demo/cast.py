"""Who is in the demo: six measured customers, the people around them, one organisation, two feeders.

The load curves are measured; names, capacities, feeders, grades and posts are invented and carry role words only.
"""

import zlib
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal

from services.contracts.envelope import Event
from services.contracts.grid import FeederChanged, FeederSection
from services.contracts.marketing import (
    Account,
    AgreementTerms,
    CustomerChanged,
    CustomerRole,
    Engagement,
    ImportanceGrade,
    PersonChanged,
    Site,
    UsagePoint,
)
from services.contracts.organisation import Holding, PostChanged, StaffRole, UnitChanged

SINCE = datetime(2020, 1, 1, tzinfo=UTC)
BRANCH, STATION = "U-BRANCH", "U-NORTH"


@dataclass(frozen=True, kw_only=True)
class Member:
    """One customer of the demo; `profile` names its measured curve, None is the steel plant."""

    number: str
    name: str
    profile: str | None
    yearly_mwh: float
    contract_capacity_kva: int
    feeder: str
    supply_nature: str
    industry_class: str
    importance: ImportanceGrade = "none"
    dual_supply: bool = False

    @property
    def customer_id(self) -> str:
        return f"C-{self.number}"

    @property
    def account_id(self) -> str:
        return f"5001{self.number}"

    @property
    def usage_point_id(self) -> str:
        return f"UP-{self.number}"

    @property
    def site_id(self) -> str:
        return f"S-{self.number}"

    @property
    def asset_id(self) -> str:
        return f"T-{self.number}"

    @property
    def contact_id(self) -> str:
        return f"P-{self.number}"


def _member(  # noqa: PLR0917  (the rows of a table)
    number: str, name: str, profile: str | None, mwh: float, kva: int, feeder: str, nature: str, industry: str
) -> Member:
    return Member(
        number=number, name=name, profile=profile, yearly_mwh=mwh, contract_capacity_kva=kva, feeder=feeder,
        supply_nature=nature, industry_class=industry, importance="grade-2" if profile is None else "none",
    )  # fmt: skip


MEMBERS = (
    _member("0001", "钢铁加工示例企业 Steel plant", None, 959.6, 1000, "F-12", "continuous-process", "C3130"),
    _member("0002", "家具卖场示例企业 Furniture shop", "LP_G_MH", 2400, 1250, "F-12", "commercial", "F5283"),
    _member("0003", "金属制品示例企业 Metal works", "LP_G_MV", 5200, 2500, "F-12", "industrial", "C3311"),
    _member("0004", "办公楼示例企业 Small office", "LP_Ö_Büro_k", 380, 315, "F-15", "commercial", "L7212"),
    _member("0005", "学校甲 School A", "LP_Ö_Schule_g", 900, 630, "F-15", "public-service", "P8334"),
    _member("0006", "学校乙 School B", "LP_Ö_Schule_k", 420, 315, "F-15", "public-service", "P8321"),
)
STEEL = MEMBERS[0]
ELECTRICIAN, ELECTRICIANS_CUSTOMERS = "P-ELECTRICIAN", (MEMBERS[0], MEMBERS[2])
"""Serves two customers on feeder F-12: one fault, one message that names both accounts."""
MANAGER, INSPECTOR_A, INSPECTOR_B, INSPECTOR_C = "E-MANAGER", "E-INSPECTOR-A", "E-INSPECTOR-B", "E-INSPECTOR-C"
CHIEF, ANALYST, ROOT, PUBLISHER = "E-CHIEF", "E-ANALYST", "E-ROOT", "E-PUBLISHER"
DISPATCHER, DESK = "E-DISPATCHER", "E-DESK"
STAFF: tuple[tuple[str, StaffRole], ...] = (
    (MANAGER, "account-manager"),
    (INSPECTOR_A, "inspector"),
    (INSPECTOR_B, "inspector"),
    (INSPECTOR_C, "inspector"),
    (CHIEF, "department-head"),
    (ANALYST, "analyst"),
    (DISPATCHER, "dispatcher"),
    (DESK, "service-desk"),
    (ROOT, "system-administrator"),
    (PUBLISHER, "data-publisher"),
)


def units() -> list[Event]:
    return [
        UnitChanged(unit_id=BRANCH, version=1, name="示例供电分公司 Demo branch"),
        UnitChanged(unit_id=STATION, version=1, name="北片区 North area", parent_id=BRANCH),
    ]


def posts() -> list[Event]:
    return [
        PostChanged(
            post_id=f"POST-{person}",
            version=1,
            name=role,
            unit_id=BRANCH,
            role=role,
            holdings=(Holding(person_id=person, valid_from=SINCE),),
        )
        for person, role in STAFF
    ]


def people() -> list[Event]:
    contacts = [_person(m.contact_id, "customer-contact", (m,)) for m in MEMBERS]
    staff = [
        PersonChanged(person_id=person, version=1, name=f"岗位 {role}", openid=f"openid_{person}")
        for person, role in STAFF
        if person == MANAGER
    ]
    return [*contacts, _person(ELECTRICIAN, "customer-electrician", ELECTRICIANS_CUSTOMERS), *staff]


def _person(person_id: str, role: CustomerRole, members: tuple[Member, ...]) -> PersonChanged:
    return PersonChanged(
        person_id=person_id,
        version=1,
        name=f"联系人 {person_id[-4:]}",
        phone=f"139000{hash_of(person_id) % 100000:05d}",
        openid=f"openid_{person_id}",
        engagements=tuple(
            Engagement(
                engagement_id=f"G-{person_id}-{m.number}",
                customer_id=m.customer_id,
                account_ids=(m.account_id,),
                role=role,
                valid_from=SINCE,
            )
            for m in members
        ),
    )


def hash_of(text: str) -> int:
    """A stable number of a text; Python's own changes with every process."""
    return zlib.crc32(text.encode())


def customer(member: Member, *, version: int = 1) -> CustomerChanged:
    terms = AgreementTerms(
        valid_from=date(2020, 1, 1),
        industry_class=member.industry_class,
        supply_nature=member.supply_nature,  # type: ignore[arg-type]
        voltage_kv=Decimal(10),
        contract_capacity_kva=Decimal(member.contract_capacity_kva),
        operating_capacity_kva=Decimal(member.contract_capacity_kva),
        tariff_type="two-part" if member.contract_capacity_kva >= 315 else "single-part",
        basic_charge_method="capacity",
        importance_grade=member.importance,
        dual_supply=member.dual_supply,
    )
    return CustomerChanged(
        customer_id=member.customer_id,
        version=version,
        name=member.name,
        accounts=(Account(account_id=member.account_id, service_area_id=STATION, terms=(terms,)),),
        sites=(Site(site_id=member.site_id, name="配电室", address="示例路 1 号", asset_ids=(member.asset_id,)),),
        usage_points=(
            UsagePoint(
                usage_point_id=member.usage_point_id,
                account_id=member.account_id,
                site_id=member.site_id,
                feeder_ids=(member.feeder,),
                meter_id=f"M-{member.usage_point_id}",
            ),
        ),
    )


def feeders() -> list[Event]:
    names = sorted({m.feeder for m in MEMBERS})
    return [
        FeederChanged(
            feeder_id=name,
            version=1,
            name=f"10kV {name} 线",
            substation_id="SS-1",
            area_id=STATION,
            rating_kva=Decimal(10000),
            sections=(
                FeederSection(
                    section_id=f"{name}-1", usage_point_ids=tuple(m.usage_point_id for m in MEMBERS if m.feeder == name)
                ),
            ),
        )
        for name in names
    ]


def open_ids() -> tuple[str, ...]:
    """The WeChat open ids of everybody in the demo who follows the account."""
    return tuple(p.openid for p in people() if isinstance(p, PersonChanged) and p.openid)
