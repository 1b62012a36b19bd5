"""Systems of customers that are told by a call to their own address."""

from sqlalchemy import Boolean, Column, LargeBinary, String, Table

from services.notify.tables.base import MOMENT, ids_column, metadata

webhook_endpoint = Table(
    "webhook_endpoint", metadata,
    Column("endpoint_id", String(64), primary_key=True),
    Column("customer_id", String(64), nullable=False, index=True),
    Column("url", String(500), nullable=False),
    ids_column("event_classes"),  # empty: all that concern the customer's people
    Column("wrapped_key", LargeBinary, nullable=False),
    Column("secret_cipher", LargeBinary, nullable=False),
    Column("former_secret_cipher", LargeBinary),  # signs as well until the customer has changed over
    Column("active", Boolean, nullable=False),
    Column("created_by", String(64), nullable=False),
    Column("created_at", MOMENT, nullable=False),
    Column("rotated_at", MOMENT),
)  # fmt: skip
