"""Runs or compares the revisions of one service on the connection that `services.kernel.migrate` hands over."""

import re
from typing import Any

from alembic import context

config = context.config
_PARTITION = re.compile(r"_\d{6}(\d{2})?$")


def _is_ours(_: Any, name: str | None, kind: str, reflected: bool, compared: Any) -> bool:
    """Monthly and daily partitions are made by functions of the schema, not by revisions.

    With the attribute `tables`, a revision is written for those tables alone.
    """
    if kind != "table":
        return True
    only = config.attributes.get("tables")
    return not (reflected and compared is None and _PARTITION.search(name or "")) and (not only or name in only)


context.configure(
    connection=config.attributes["connection"],
    target_metadata=config.attributes["metadata"],
    version_table="alembic_version",
    version_table_schema=config.attributes["service"],
    include_schemas=True,
    include_name=lambda name, kind, _: kind != "schema" or name == config.attributes["service"],
    include_object=_is_ours,
    compare_server_default=True,
    transactional_ddl=True,
)
context.run_migrations()
