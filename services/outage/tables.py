"""What outage stores. Views of others' states first, then its own."""

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    Numeric,
    SmallInteger,
    String,
    Table,
)
from sqlalchemy.dialects.postgresql import ARRAY

from services.kernel.tables import open_schema

metadata = open_schema("outage")


def _id(name: str, *, primary_key: bool = False, nullable: bool = False) -> Column[str]:
    return Column(name, String(64), primary_key=primary_key, nullable=nullable)


# Views -----------------------------------------------------------------------------------------------------------

customer = Table(
    "customer",
    metadata,
    _id("customer_id", primary_key=True),
    Column("name", String(200), nullable=False),
    Column("key_account", Boolean, nullable=False),
    Column("importance_grade", String(16), nullable=False),
    Column("high_reliability", Boolean, nullable=False),
    Column("attention_level", SmallInteger, nullable=False),
    Column("mean_load_kw", Numeric(14, 6), nullable=True),
    info={"holds": "view of the archive"},
)
usage_point = Table(
    "usage_point",
    metadata,
    _id("usage_point_id", primary_key=True),
    _id("account_id"),
    _id("customer_id"),
    _id("site_id"),
    info={"holds": "view of the archive"},
)
Index("ix_usage_point_customer_id", usage_point.c.customer_id)
usage_point_feeder = Table(
    "usage_point_feeder",
    metadata,
    _id("usage_point_id", primary_key=True),
    _id("feeder_id", primary_key=True),
    _id("customer_id"),
    info={"holds": "feeders a usage point can be fed from"},
)
Index("ix_usage_point_feeder_feeder_id", usage_point_feeder.c.feeder_id)
Index("ix_usage_point_feeder_customer_id", usage_point_feeder.c.customer_id)
feeder = Table(
    "feeder",
    metadata,
    _id("feeder_id", primary_key=True),
    Column("name", String(200), nullable=False),
    _id("substation_id"),
    _id("area_id"),
    Column("rating_kva", Numeric(14, 6), nullable=False),
    Column("section_ids", ARRAY(String(64)), nullable=False),  # also those without a usage point
    info={"holds": "view of the network"},
)
feeder_section_point = Table(
    "feeder_section_point",
    metadata,
    _id("feeder_id", primary_key=True),
    _id("section_id", primary_key=True),
    _id("usage_point_id", primary_key=True),
    info={"holds": "which usage points hang on which section"},
)
feeder_load = Table(
    "feeder_load",
    metadata,
    _id("feeder_id", primary_key=True),
    Column("load_kw", Numeric(14, 6), nullable=False),
    Column("measured_at", DateTime(timezone=True), nullable=False),
    info={"holds": "newest load of each feeder"},
)
supply_alarm = Table(
    "supply_alarm",
    metadata,
    _id("usage_point_id", primary_key=True),
    _id("customer_id"),
    Column("lost_at", DateTime(timezone=True), nullable=True),
    Column("back_at", DateTime(timezone=True), nullable=True),
    info={"holds": "newest loss and return of supply told by a meter"},
)
notice = Table(
    "notice",
    metadata,
    _id("delivery_id", primary_key=True),
    _id("customer_id", primary_key=True),  # one message may name the accounts of several customers
    _id("outage_id"),
    _id("person_id"),
    Column("cause_type", String(200), nullable=False),
    Column("channel", String(16), nullable=False),
    Column("accepted_at", DateTime(timezone=True), nullable=True),
    Column("delivered_at", DateTime(timezone=True), nullable=True),
    info={"holds": "proof of messages about outages"},
)
Index("ix_notice_outage_id", notice.c.outage_id)

# Own -------------------------------------------------------------------------------------------------------------

outage = Table(
    "outage",
    metadata,
    _id("outage_id", primary_key=True),
    Column("fault_id", String(64), nullable=False, unique=True),
    _id("feeder_id"),
    Column("cause", String(32), nullable=False),
    Column("detected_at", DateTime(timezone=True), nullable=False),
    Column("estimated_at", DateTime(timezone=True), nullable=True),
    Column("expected_at", DateTime(timezone=True), nullable=True),
    Column("restored_at", DateTime(timezone=True), nullable=True),
    Column("status", String(16), nullable=False),  # open | restored
    Column("set_version", Integer, nullable=False),
    info={"holds": "one per fault: detected, expected, restored, set version"},
)
Index("ix_outage_detected_at", outage.c.detected_at)
affected = Table(
    "affected",
    metadata,
    Column("outage_id", String(64), ForeignKey(outage.c.outage_id), primary_key=True),
    _id("usage_point_id", primary_key=True),
    _id("account_id"),
    _id("customer_id"),
    # The customer's priority when it was added: keeps the parts of one set version the same in every event.
    Column("position", Integer, nullable=False),
    info={"holds": "usage points of an outage, in the order of priority"},
)
Index("ix_affected_customer_id", affected.c.customer_id)
unknown_point = Table(
    "unknown_point",
    metadata,
    Column("outage_id", String(64), ForeignKey(outage.c.outage_id), primary_key=True),
    _id("usage_point_id", primary_key=True),
    info={"holds": "usage points without supply whose owner is not known yet"},
)
Index("ix_unknown_point_usage_point_id", unknown_point.c.usage_point_id)
planned_outage = Table(
    "planned_outage",
    metadata,
    _id("outage_id", primary_key=True),
    Column("version", Integer, nullable=False),
    Column("said_version", Integer, nullable=False),  # 0: nobody was told yet
    _id("feeder_id"),
    Column("section_ids", ARRAY(String(64)), nullable=False),
    Column("starts_at", DateTime(timezone=True), nullable=False),
    Column("ends_at", DateTime(timezone=True), nullable=False),
    Column("reason", String(200), nullable=False),
    Column("temporary", Boolean, nullable=False),
    Column("status", String(16), nullable=False),  # accepted | published | started | cancelled
    # Of the version said last: customers not shown to know in time, whoever may see them.
    Column("unproven_customers", Integer, nullable=False),
    _id("entered_by"),
    _id("changed_by", nullable=True),
    _id("overridden_by", nullable=True),
    Column("overridden_at", DateTime(timezone=True), nullable=True),
    Column("override_reason", String(200), nullable=True),
    _id("started_by", nullable=True),
    Column("started_at", DateTime(timezone=True), nullable=True),
    CheckConstraint("overridden_by NOT IN (entered_by, coalesce(changed_by, entered_by))", name="second_person"),
    info={"holds": "planned outages from entry to their beginning or end, and who let them begin"},
)
Index("ix_planned_outage_starts_at", planned_outage.c.starts_at)
Index(
    "ix_planned_outage_unsaid", planned_outage.c.outage_id,
    postgresql_where=planned_outage.c.version > planned_outage.c.said_version,
)  # fmt: skip
planned_affected = Table(
    "planned_affected",
    metadata,
    Column("outage_id", String(64), ForeignKey(planned_outage.c.outage_id), primary_key=True),
    _id("usage_point_id", primary_key=True),
    _id("account_id"),
    _id("customer_id"),
    Column("position", Integer, nullable=False),  # by priority when it was announced
    info={"holds": "whom the plan touches, as announced last"},
)
Index("ix_planned_affected_customer_id", planned_affected.c.customer_id)

planned_notice = Table(
    "planned_notice",
    metadata,
    _id("outage_id", primary_key=True),
    _id("customer_id", primary_key=True),
    Column("important", Boolean, nullable=True),
    Column("required_by", DateTime(timezone=True), nullable=True),
    Column("unproven_at", DateTime(timezone=True), nullable=True),
    Column("proven_at", DateTime(timezone=True), nullable=True),
    Column("in_time", Boolean, nullable=True),
    Column("level", String(16), nullable=True),
    info={"holds": "notify's newest words on whether a customer is shown to know of a plan"},
)

OWNED: dict[str, str] = dict.fromkeys(
    (
        "customer",
        "usage_point",
        "usage_point_feeder",
        "supply_alarm",
        "notice",
        "affected",
        "planned_affected",
        "planned_notice",
    ),
    "customer_id",
)
"""Tables with customers' rows: row-level security is forced on them."""
