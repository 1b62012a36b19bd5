"""A revision as Python: one function per table, so that a schema of many tables is read as the tables are."""

from collections.abc import Iterable, Iterator

from alembic.autogenerate.api import AutogenContext
from alembic.autogenerate.render import render_op_text
from alembic.operations.ops import CreateIndexOp, DropTableOp, MigrateOperation, MigrationScript, OpContainer
from alembic.runtime.migration import MigrationContext

MOST_INDEXES = 4
"""Beside a table's columns."""


class Untold(Exception):
    """An operation belongs to no table, so there is no function to write it into."""


def revision_text(script: MigrationScript, *, context: MigrationContext, message: str, parent: str | None) -> str:
    """The file's text, not yet formatted. Raises `Untold`."""
    assert script.upgrade_ops is not None
    assert script.downgrade_ops is not None
    rendering = AutogenContext(context)
    rendering.imports = set()
    up = {table: _code(operations, rendering) for table, operations in _by_table(script.upgrade_ops.ops).items()}
    down = {
        table: _code(_without_what_falls_with_its_table(operations), rendering)
        for table, operations in _by_table(script.downgrade_ops.ops).items()
    }
    body = "\n\n".join([*_functions("upgrade", up), *_functions("downgrade", down)])
    imports = [*(["import sqlalchemy as sa"] if "sa." in body else []), "from alembic import op", *rendering.imports]
    head = f"revision, down_revision, branch_labels, depends_on = {script.rev_id!r}, {parent!r}, None, None"
    return f'"""{message.rstrip(".")}."""\n\n' + "\n".join(imports) + f"\n\n{head}\n\n{body}\n"


def _by_table(operations: Iterable[MigrateOperation]) -> dict[str, list[MigrateOperation]]:
    found: dict[str, list[MigrateOperation]] = {}
    for operation in operations:
        table = getattr(operation, "table_name", None)
        if not isinstance(table, str):
            raise Untold(f"{operation!r}: 请手工编写 Write this one by hand")
        inner = operation.ops if isinstance(operation, OpContainer) else [operation]
        found.setdefault(table, []).extend(inner)
    return {name: operations for table, whole in found.items() for name, operations in _apart(table, whole)}


def _apart(table: str, operations: list[MigrateOperation]) -> Iterator[tuple[str, list[MigrateOperation]]]:
    """Many indexes make a function of their own: it would be too long with the table's columns."""
    indexes: list[MigrateOperation] = [o for o in operations if isinstance(o, CreateIndexOp)]
    if len(indexes) <= MOST_INDEXES or len(indexes) == len(operations):
        yield table, operations
    else:
        yield table, [o for o in operations if o not in indexes]
        yield f"{table}_indexes", indexes


def _without_what_falls_with_its_table(operations: list[MigrateOperation]) -> list[MigrateOperation]:
    drops: list[MigrateOperation] = [o for o in operations if isinstance(o, DropTableOp)]
    return drops or operations


def _code(operations: Iterable[MigrateOperation], rendering: AutogenContext) -> str:
    lines = "\n".join(render_op_text(rendering, operation) for operation in operations).splitlines()
    return "\n".join(f"    {line}" for line in lines)


def _functions(direction: str, code: dict[str, str]) -> Iterator[str]:
    """The function alembic calls, then those it calls; a single dropped table needs none of its own."""
    named = {table: text for table, text in code.items() if not text.startswith("    op.drop_table(")}
    calls = [f"    {direction}_{table}()" if table in named else text for table, text in code.items()]
    yield f"def {direction}() -> None:\n" + ("\n".join(calls) or "    pass")
    for table, text in named.items():
        yield f"def {direction}_{table}() -> None:\n{text}"
