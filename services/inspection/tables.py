"""The schema `inspection`: views of customers, the plan, visits with their items, hazards with steps and photos."""

from sqlalchemy import (
    Boolean,
    Column,
    Date,
    DateTime,
    Float,
    Index,
    Integer,
    LargeBinary,
    Numeric,
    SmallInteger,
    String,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from services.kernel.tables import open_schema

metadata = open_schema("inspection")


def _id(name: str, *, primary_key: bool = False, nullable: bool = False) -> Column[str]:
    return Column(name, String(64), primary_key=primary_key, nullable=nullable)


def _moment(name: str, *, nullable: bool = False) -> Column[object]:
    return Column(name, DateTime(timezone=True), nullable=nullable)


customer = Table(
    "customer", metadata,
    _id("customer_id", primary_key=True),
    Column("name", String(200), nullable=False),
    Column("importance_grade", String(20), nullable=False),
    Column("highest_kv", Numeric(10, 3), nullable=False),
    Column("classes", ARRAY(Text), nullable=False),
    Column("attention_level", SmallInteger, nullable=False),
    Column("urgent_since", Date),
    Column("cycle_factor", Numeric(6, 4), nullable=False),
    Column("profile_version", Numeric(20, 0), nullable=False),
    info={"holds": "view of the archive: grade, classes, attention"},
)  # fmt: skip
site = Table(
    "site", metadata,
    _id("site_id", primary_key=True),
    _id("customer_id"),
    _id("account_id", nullable=True),
    Column("name", String(200), nullable=False),
    Index(None, "customer_id"),
    info={"holds": "view of the archive"},
)  # fmt: skip
asset = Table(
    "asset", metadata,
    _id("asset_id", primary_key=True),
    _id("customer_id"),
    _id("site_id"),
    Index(None, "customer_id"),
    info={"holds": "equipment of the sites"},
)  # fmt: skip
inspection_plan = Table(
    "inspection_plan", metadata,
    _id("site_id", primary_key=True),
    _id("customer_id"),
    _id("visit_id"),
    Column("last_done_on", Date, nullable=False),
    Column("due_on", Date, nullable=False),
    Column("reason", String(20), nullable=False),
    Index(None, "due_on", "site_id"),
    Index(None, "customer_id"),
    info={"holds": "next due date of each site and why"},
)  # fmt: skip
visit = Table(
    "visit", metadata,
    _id("visit_id", primary_key=True),
    _id("customer_id"),
    _id("site_id"),
    Column("inspector_ids", ARRAY(String(64)), nullable=False),
    Column("companion", String(200)),
    _moment("submitted_at"),
    Index(None, "customer_id"),
    info={"holds": "visits submitted"},
)  # fmt: skip
visit_item = Table(
    "visit_item", metadata,
    _id("visit_id", primary_key=True),
    Column("ordinal", Integer, primary_key=True),
    _id("customer_id"),
    _id("item_code"),
    _id("asset_id", nullable=True),
    Column("value", JSONB, nullable=False),
    Column("grade", String(10)),
    Column("note", String(500)),
    _id("hazard_id", nullable=True),
    info={"holds": "items of a visit with their measured values"},
)  # fmt: skip
hazard = Table(
    "hazard", metadata,
    _id("hazard_id", primary_key=True),
    _id("customer_id"),
    _id("account_id", nullable=True),
    _id("site_id"),
    _id("asset_id", nullable=True),
    _id("visit_id", nullable=True),
    _id("item_code"),
    Column("version", Integer, nullable=False),
    Column("status", String(20), nullable=False),
    Column("suspected", Boolean, nullable=False),
    Column("grade", String(10), nullable=False),
    Column("finding", String(200), nullable=False),
    Column("finder_ids", ARRAY(String(64)), nullable=False),
    Column("rectified_by", ARRAY(String(64)), nullable=False, server_default=text("'{}'")),
    _moment("found_at"),
    _moment("deadline"),
    _moment("overdue_since", nullable=True),
    Index("ix_hazard_site_open", "site_id", postgresql_where=text("status NOT IN ('closed', 'voided')")),
    Index(
        "uq_hazard_open_suspicion", "asset_id", "item_code", unique=True,
        postgresql_where=text("suspected AND status NOT IN ('closed', 'voided')"),
    ),
    Index(
        "ix_hazard_deadline", "deadline",
        postgresql_where=text("overdue_since IS NULL AND status IN ('found', 'notified', 'confirmed')"),
    ),
    Index(None, "customer_id", "hazard_id"),
    info={"holds": "hazards with grade, deadline, status"},
)  # fmt: skip
hazard_step = Table(
    "hazard_step", metadata,
    _id("hazard_id", primary_key=True),
    Column("version", Integer, primary_key=True),
    _id("customer_id"),
    Column("step", String(20), nullable=False),
    Column("person_id", String(80), nullable=False),
    _moment("at"),
    Column("note", String(500)),
    _id("photo_id", nullable=True),
    info={"holds": "every step of a hazard: who, when"},
)  # fmt: skip
photo = Table(
    "photo", metadata,
    _id("photo_id", primary_key=True),
    _id("hazard_id"),
    _id("customer_id"),
    Column("jpeg", LargeBinary, nullable=False),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    _moment("taken_in_at"),
    Index(None, "hazard_id"),
    info={"holds": "evidence photos, without their metadata"},
)  # fmt: skip
equipment_state = Table(
    "equipment_state", metadata,
    _id("asset_id", primary_key=True),
    Column("quantity", String(40), primary_key=True),
    _id("customer_id"),
    Column("last_value", Float, nullable=False),
    _moment("frozen_since"),
    _moment("last_at"),
    Column("readings", Integer, nullable=False),
    Column("reported", Boolean, nullable=False),
    Index(None, "customer_id"),
    info={"holds": "last readings of each quantity, for frozen measurements"},
)  # fmt: skip

OWNED = {
    t.name: "customer_id"
    for t in (customer, site, asset, inspection_plan, visit, visit_item, hazard, hazard_step, photo, equipment_state)
}
