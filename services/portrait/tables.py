"""What portrait stores. Facts are kept as they came; profile and score are computed from them, never counted up."""

from sqlalchemy import ARRAY, Boolean, Column, Date, DateTime, Float, Integer, Numeric, String, Table
from sqlalchemy import BigInteger as Big
from sqlalchemy.dialects.postgresql import JSONB

from services.kernel.tables import open_schema
from services.portrait.classes.tables import OWNED as OWNED_CLASSES
from services.portrait.classes.tables import class_tables
from services.portrait.customers.tables import OWNED as OWNED_ARCHIVE
from services.portrait.customers.tables import archive_tables
from services.portrait.exchange.tables import exchange_tables
from services.portrait.in_month.tables import OWNED as OWNED_IN_MONTH
from services.portrait.in_month.tables import in_month_tables
from services.portrait.metering.derived_tables import derived_tables
from services.portrait.metering.tables import interval_tables
from services.portrait.scoring.score_view import score_view
from services.portrait.scoring.tables import scoring_tables

metadata = open_schema("portrait")
_intervals = interval_tables(metadata)
interval_block, usage_point_holder = _intervals.interval_block, _intervals.usage_point_holder
month_facts = _intervals.month_facts
_derived = derived_tables(metadata)
changed_days, day_mark, gap_estimate = _derived.changed_days, _derived.day_mark, _derived.gap_estimate
month_close, usage_revision = _derived.month_close, _derived.usage_revision
_archive = archive_tables(metadata)
search_term, saved_filter, assignment = _archive.search_term, _archive.saved_filter, _archive.assignment
_classes = class_tables(metadata)
class_document, class_percentile = _classes.class_document, _classes.class_percentile
class_facts, class_membership, arrears = _classes.class_facts, _classes.class_membership, _classes.arrears
analysis_run, analysis_line = _classes.analysis_run, _classes.analysis_line
_in_month = in_month_tables(metadata)
warning_due, warning_threshold = _in_month.warning_due, _in_month.warning_threshold
usage_warning = _in_month.usage_warning
_exchange = exchange_tables(metadata)
import_file, import_part, import_error = _exchange.import_file, _exchange.import_part, _exchange.import_error
_scoring = scoring_tables(metadata)
customer_shift = _scoring.customer_shift
score_run, score_chunk, score_block = _scoring.score_run, _scoring.score_chunk, _scoring.score_block
score_peer_group = _scoring.score_peer_group
score = score_view(schema="portrait")
score_document, score_dispute = _scoring.score_document, _scoring.score_dispute
Moment = DateTime(timezone=True)
Money, Power = Numeric(16, 2), Numeric(14, 6)


def _owner(*, primary_key: bool = False, nullable: bool = False) -> Column[str]:
    return Column("customer_id", String(64), primary_key=primary_key, nullable=nullable, index=not primary_key)


customer = Table(
    "customer",
    metadata,
    _owner(primary_key=True),
    Column("version", Big, nullable=False),
    Column("name", String(200), nullable=False),
    Column("former_names", ARRAY(String(200)), nullable=False),
    Column("group_id", String(64)),
    Column("key_account", Boolean, nullable=False),
)
account = Table(
    "account",
    metadata,
    Column("account_id", String(64), primary_key=True),
    _owner(),
    Column("service_area_id", String(64), nullable=False),
)
account_terms = Table(
    "account_terms",
    metadata,
    Column("account_id", String(64), primary_key=True),
    Column("valid_from", Date, primary_key=True),
    Column("valid_to", Date, comment="first day no longer in force; open if null"),
    _owner(),
    Column("industry_class", String(8), nullable=False),
    Column("supply_nature", String(64), nullable=False),
    Column("voltage_kv", Numeric(6, 2), nullable=False),
    Column("contract_capacity_kva", Numeric(12, 3), nullable=False),
    Column("operating_capacity_kva", Numeric(12, 3), nullable=False),
    Column("tariff_type", String(20), nullable=False),
    Column("basic_charge_method", String(20), nullable=False),
    Column("contract_demand_kw", Power),
    Column("purchase_mode", String(20), nullable=False),
    Column("importance_grade", String(20), nullable=False),
    Column("dual_supply", Boolean, nullable=False),
)
site = Table(
    "site",
    metadata,
    Column("site_id", String(64), primary_key=True),
    _owner(),
    Column("name", String(200), nullable=False),
    Column("address", String(200), nullable=False),
    Column("asset_ids", ARRAY(String(64)), nullable=False),
)
usage_point = Table(
    "usage_point",
    metadata,
    Column("usage_point_id", String(64), primary_key=True),
    _owner(),
    Column("account_id", String(64), nullable=False),
    Column("site_id", String(64), nullable=False),
    Column("feeder_ids", ARRAY(String(64)), nullable=False),
    Column("meter_id", String(64)),
    Column("multiplier", Integer, nullable=False),
)
bill = Table(
    "bill",
    metadata,
    Column("bill_id", String(64), primary_key=True),
    _owner(),
    Column("account_id", String(64), nullable=False),
    Column("period_from", Date),
    Column("period_to", Date),
    Column("energy_kwh", Power),
    Column("amount_yuan", Money),
    Column("late_fee_yuan", Money),
    Column("due_on", Date),
    Column("reissue_of", String(64)),
    Column("cancelled", Boolean, nullable=False, comment="may be known before the bill itself"),
)
violation = Table(
    "violation",
    metadata,
    Column("violation_id", String(64), primary_key=True),
    _owner(),
    Column("account_id", String(64), nullable=False),
    Column("kind", String(20), nullable=False),
    Column("occurred_on", Date, nullable=False),
    Column("penalty_yuan", Money, nullable=False),
)
application = Table(
    "application",
    metadata,
    Column("application_id", String(64), primary_key=True),
    _owner(),
    Column("account_id", String(64), nullable=False),
    Column("kind", String(30), nullable=False),
    Column("stage", String(30), nullable=False),
    Column("reached_at", Moment, nullable=False),
)
register_reading = Table(
    "register_reading",
    metadata,
    Column("usage_point_id", String(64), primary_key=True),
    Column("meter_id", String(64), primary_key=True),
    Column("register_name", String(20), primary_key=True),
    Column("tou_period", String(20), primary_key=True),
    Column("frozen_at", Moment, primary_key=True),
    _owner(nullable=True),
    Column("value", Power, nullable=False, comment="before the multiplier"),
    Column("multiplier", Integer, nullable=False),
    Column("demand_at", Moment),
    Column("revision", Integer, nullable=False),
)
meter_change = Table(
    "meter_change",
    metadata,
    Column("usage_point_id", String(64), primary_key=True),
    Column("changed_at", Moment, primary_key=True),
    Column("new_meter_id", String(64), primary_key=True),
    _owner(nullable=True),
    Column("old_meter_id", String(64), nullable=False),
    Column("old_active_import_kwh", Power, nullable=False),
    Column("new_active_import_kwh", Power, nullable=False),
    Column("new_multiplier", Integer, nullable=False),
)
service_contact = Table(
    "service_contact",
    metadata,
    Column("contact_id", String(80), primary_key=True, comment="ticket:, conversation: or visit: and the id"),
    _owner(),
    Column("occurred_at", Moment, nullable=False),
    Column("complaint", Boolean, nullable=False),
    Column("breached", Boolean, nullable=False, comment="answered later than promised"),
)
open_hazard = Table(
    "open_hazard",
    metadata,
    Column("hazard_id", String(64), primary_key=True),
    _owner(),
    Column("version", Big, nullable=False),
    Column("grade", String(20), nullable=False),
    Column(
        "status", String(20), nullable=False, comment="closed and voided ones stay, so that a late step cannot reopen"
    ),
    Column("overdue", Boolean, nullable=False),
    Column("finding", String(200), nullable=False),
    Column("first_at", Moment, nullable=False),
    Column("last_at", Moment, nullable=False),
)
customer_outage = Table(
    "customer_outage",
    metadata,
    Column("outage_id", String(64), primary_key=True),
    _owner(primary_key=True),
    Column("kind", String(10), nullable=False),
    Column("set_version", Big, nullable=False),
    Column("started_at", Moment, nullable=False),
    Column("ended_at", Moment),
    Column("cancelled", Boolean, nullable=False),
)
outage_part = Table(
    "outage_part",
    metadata,
    Column("set_id", String(64), primary_key=True),
    Column("set_version", Big, primary_key=True),
    Column("part", Integer, primary_key=True),
    Column("parts", Integer, nullable=False),
)
profile = Table(
    "profile",
    metadata,
    _owner(primary_key=True),
    Column("version", Big, nullable=False, comment="goes on rising when a removed customer comes back"),
    Column("body", JSONB(none_as_null=True), comment="as last published, without version; null when removed"),
    Column("name", String(200), nullable=False),
    Column("key_account", Boolean, nullable=False),
    Column("classes", ARRAY(String(30)), nullable=False),
    Column("attention_level", Integer, nullable=False),
    Column("cycle_factor", Numeric(4, 3), nullable=False),
    Column("explanation", JSONB, nullable=False, comment="indicators, verdicts and effects behind the classes"),
)
monthly_usage = Table(
    "monthly_usage",
    metadata,
    _owner(primary_key=True),
    Column("month", String(7), primary_key=True),
    Column("revision", Integer, nullable=False),
    Column("energy_wh", Big, nullable=False),
    Column("completeness", Float, nullable=False),
)

OWNED = {
    table.name: "customer_id"
    for table in (
        customer, account, account_terms, site, usage_point, bill, violation, application, register_reading,
        meter_change, service_contact, open_hazard, customer_outage, profile, monthly_usage, score_block, score_run,
        interval_block, usage_point_holder, day_mark, gap_estimate, usage_revision,
        month_facts, customer_shift, score_dispute,
    )
} | dict.fromkeys((*OWNED_CLASSES, *OWNED_ARCHIVE, *OWNED_IN_MONTH), "customer_id")  # fmt: skip
