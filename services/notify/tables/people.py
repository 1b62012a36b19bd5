"""Persons (names, phones and openids as ciphertext only), what they are to customers, and the customers seen here."""

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, LargeBinary, Numeric, String, Table, text
from sqlalchemy.dialects.postgresql import ARRAY

from services.notify.tables.base import MOMENT, id_column, ids_column, metadata

person = Table(
    "person", metadata,
    Column("person_id", String(64), primary_key=True),
    Column("language", String(2), nullable=False),
    Column("wrapped_key", LargeBinary, nullable=False),
    Column("name_cipher", LargeBinary, nullable=False),
    Column("grants_version", BigInteger, nullable=False, server_default="0"),  # of the engagements as published
    Column("grants_digest", LargeBinary),
    Column("confirm_asked_at", MOMENT),
)  # fmt: skip
contact = Table(
    "contact", metadata,  # one value per kind and source; `in_force` marks the one that is used
    Column("person_id", ForeignKey(person.c.person_id, ondelete="CASCADE"), primary_key=True),
    Column("kind", String(10), primary_key=True),
    Column("source", String(10), primary_key=True),
    Column("blind_index", LargeBinary, nullable=False),
    Column("value_cipher", LargeBinary, nullable=False),
    Column("in_force", Boolean, nullable=False),
    Column("said_at", MOMENT, nullable=False),
    Column("said_by", String(64), nullable=False),
    Column("confirmed_at", MOMENT),
    Column("unusable_because", String(200)),
    Index(None, "kind", "blind_index"),
)  # fmt: skip
engagement = Table(
    "engagement", metadata,
    Column("person_id", String(64), primary_key=True),
    Column("engagement_id", String(64), primary_key=True),
    Column("customer_id", String(64), nullable=False, index=True),
    ids_column("account_ids"),
    Column("role", String(64), nullable=False),
    Column("valid_from", MOMENT, nullable=False),
    Column("valid_to", MOMENT),
    Column("source", String(10), nullable=False),  # archive, or the customer's own administrator
    Column("ended_at", MOMENT),  # ended here: holds against later snapshots of the archive
    id_column("ended_by", nullable=True),
)  # fmt: skip
customer = Table(
    "customer", metadata,
    Column("customer_id", String(64), primary_key=True),
    Column("name", String(200), nullable=False),
    Column("key_account", Boolean, nullable=False, server_default=text("true")),
    Column("importance_grade", String(20), nullable=False, server_default="none"),
    Column("classes", ARRAY(String(40)), nullable=False, server_default=text("'{}'")),
    Column("unowned_since", MOMENT),  # nobody answers for the customer
    Column("industry_classes", ARRAY(String(5)), nullable=False, server_default=text("'{}'")),
)  # fmt: skip
account = Table(
    "account", metadata,
    Column("account_id", String(64), primary_key=True),
    Column("customer_id", String(64), nullable=False, index=True),
    id_column("service_area_id"),
    Column("voltage_kv", Numeric(8, 2)),
)  # fmt: skip
