"""Runs the revisions of one service on the connection that `services.kernel.migrate` hands over."""

from alembic import context

config = context.config
context.configure(
    connection=config.attributes["connection"],
    target_metadata=config.attributes["metadata"],
    version_table="alembic_version",
    version_table_schema=config.attributes["service"],
    include_schemas=True,
    include_name=lambda name, kind, _: kind != "schema" or name == config.attributes["service"],
    transactional_ddl=True,
)
context.run_migrations()
