"""The organisation: units, posts, who holds them, who represents whom, who is on duty."""

from sqlalchemy import BigInteger, Boolean, Column, Identity, LargeBinary, SmallInteger, String, Table, Uuid

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
post_deputy = Table(
    "post_deputy", metadata,  # the B角 of a post, in the order in which they are asked
    Column("post_id", String(64), primary_key=True),
    Column("person_id", String(64), primary_key=True),
    Column("rank", SmallInteger, nullable=False),
)  # fmt: skip
leave = Table(
    "leave", metadata,
    Column("leave_id", String(64), primary_key=True),
    Column("person_id", String(64), nullable=False, index=True),
    Column("starts_at", MOMENT, nullable=False),
    Column("ends_at", MOMENT, nullable=False),
    id_column("deputy_id", nullable=True),
    Column("kind", String(20), nullable=False),
    Column("source", String(10), nullable=False),
    Column("entered_by", String(64), nullable=False),
    Column("entered_at", MOMENT, nullable=False),
    Column("told_at", MOMENT),
)  # fmt: skip
handover = Table(
    "handover", metadata,  # laid over what personnel says, so that its next snapshot does not undo it
    Column("handover_id", Uuid, primary_key=True),
    Column("post_id", String(64), nullable=False, index=True),
    Column("from_person_id", String(64), nullable=False),
    Column("to_person_id", String(64), nullable=False),
    Column("effective_at", MOMENT, nullable=False),
    Column("entered_by", String(64), nullable=False),
    Column("entered_at", MOMENT, nullable=False),
    Column("told_at", MOMENT),
)  # fmt: skip
duty = Table(
    "duty", metadata,
    Column("duty_id", Uuid, primary_key=True),
    Column("unit_id", String(64), nullable=False, index=True),
    Column("person_id", String(64), nullable=False),
    Column("role", String(64), nullable=False),
    Column("starts_at", MOMENT, nullable=False),
    Column("ends_at", MOMENT, nullable=False),
    Column("entered_by", String(64), nullable=False),
)  # fmt: skip
directory_change = Table(
    "directory_change", metadata,  # requests note what changed; the worker draws the grants from it and says them
    Column("seq", BigInteger, Identity(), primary_key=True),
    Column("what", String(80), nullable=False),  # posts, or person:<id>
)  # fmt: skip
