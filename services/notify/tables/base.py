"""The schema of notify and the column types its tables share."""

from sqlalchemy import Column, DateTime, String, text
from sqlalchemy.dialects.postgresql import ARRAY

from services.kernel.tables import open_schema

metadata = open_schema("notify")
MOMENT = DateTime(timezone=True)


def id_column(name: str, *, nullable: bool = False) -> Column[str]:
    return Column(name, String(64), nullable=nullable)


def ids_column(name: str) -> Column[list[str]]:
    return Column(name, ARRAY(String(64)), nullable=False, server_default=text("'{}'"))
