"""The directory: units, posts, persons (names, phones and openids as ciphertext only), customers as seen here."""

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, LargeBinary, SmallInteger, String, Table

from services.notify.tables.base import MOMENT, id_column, ids_column, metadata

unit = Table(
    "unit", metadata,
    Column("unit_id", String(64), primary_key=True),
    Column("name", String(200), nullable=False),
    id_column("parent_id", nullable=True),
)  # fmt: skip
post = Table(
    "post", metadata,
    Column("post_id", String(64), primary_key=True),
    Column("name", String(200), nullable=False),
    id_column("unit_id"),
    Column("role", String(64), nullable=False),
    ids_column("customer_ids"),
    Column("active", Boolean, nullable=False),
    Column("version", BigInteger, nullable=False, server_default="0"),  # of the grants as published
    Column("grants_digest", LargeBinary),
)  # fmt: skip
holding = Table(
    "holding", metadata,
    Column("post_id", String(64), primary_key=True),
    Column("ordinal", SmallInteger, primary_key=True),
    Column("person_id", String(64), nullable=False, index=True),
    Column("valid_from", MOMENT, nullable=False),
    Column("valid_to", MOMENT),
    id_column("acting_for", nullable=True),
)  # fmt: skip
person = Table(
    "person", metadata,
    Column("person_id", String(64), primary_key=True),
    Column("language", String(2), nullable=False),
    Column("wrapped_key", LargeBinary, nullable=False),
    Column("name_cipher", LargeBinary, nullable=False),
)  # fmt: skip
contact = Table(
    "contact", metadata,
    Column("person_id", ForeignKey(person.c.person_id, ondelete="CASCADE"), primary_key=True),
    Column("kind", String(10), primary_key=True),
    Column("blind_index", LargeBinary, primary_key=True),
    Column("value_cipher", LargeBinary, nullable=False),
    Column("source", String(10), nullable=False),
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
)  # fmt: skip
customer = Table(
    "customer", metadata,
    Column("customer_id", String(64), primary_key=True),
    Column("name", String(200), nullable=False),
)  # fmt: skip
account = Table(
    "account", metadata,
    Column("account_id", String(64), primary_key=True),
    Column("customer_id", String(64), nullable=False, index=True),
    id_column("service_area_id"),
)  # fmt: skip
