"""Row-level security of every table that belongs to customers, by the database alone: no service runs here."""

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from sqlalchemy import Table

from services.kernel.rowsecurity import _API_NEVER
from tests.access.house import SERVICES, Town
from tests.access.rows import MINE, THEIRS, insert_row, row_of

OWNED = [
    pytest.param(service, table, id=f"{service.name}.{table.name}")
    for service in SERVICES.values()
    for table in service.metadata.sorted_tables
    if table.name in service.owned
]
NOT_A_CUSTOMERS: dict[str, str] = {
    "owner_area": "says where a customer lies; the policies themselves read it",
    "audit": "append-only trail of the service; owner_id says whom a row concerns",
}
"""Tables that name an owner and are nevertheless not under row-level security, each with its reason."""


@pytest.fixture
async def admin(town: Town) -> AsyncIterator[asyncpg.Connection]:
    connection = await town.admin()
    yield connection
    await connection.close()


async def _scoped(connection: asyncpg.Connection, *, everything: str = "", owners: str = "", areas: str = "") -> None:
    await connection.execute(
        "SELECT set_config('keyline.everything', $1, true), set_config('keyline.owners', $2, true),"
        " set_config('keyline.areas', $3, true)", everything, owners, areas,
    )  # fmt: skip


async def _insert_as_mine(connection: asyncpg.Connection, table: Table, row: dict[str, Any]) -> None:
    async with connection.transaction():
        await _scoped(connection, owners=MINE)
        await insert_row(connection, table, row)


async def _give_away(connection: asyncpg.Connection, sql: str) -> None:
    async with connection.transaction():
        await _scoped(connection, owners=MINE)
        await connection.execute(sql, THEIRS)


def test_the_four_services_own_rows_of_customers() -> None:
    assert all(service.owned for service in SERVICES.values())
    assert len(OWNED) > 30


def test_every_table_that_names_a_customer_is_under_row_security_or_out_of_the_apis_reach() -> None:
    open_tables = {
        f"{service.name}.{table.name}"
        for service in SERVICES.values()
        for table in service.metadata.sorted_tables
        if {"customer_id", "owner_id"} & set(table.columns.keys())
        and table.name not in service.owned
        and table.name not in service.api_hidden
        and table.name not in _API_NEVER
        and table.name not in NOT_A_CUSTOMERS
    }
    assert open_tables == set(), "put them into the manifest's `owned`"


@pytest.mark.parametrize(("service", "table"), OWNED)
async def test_the_api_sees_its_scope_and_nothing_else(town: Town, service: Any, table: Table) -> None:
    connection = await town.login(service.name, "api")
    name, owner = f'"{service.name}"."{table.name}"', service.owned[table.name]
    admin = await town.admin()
    try:
        if table.name in service.api_hidden:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.fetch(f"SELECT 1 FROM {name}")
            return
        await admin.execute(
            f"INSERT INTO \"{service.name}\".owner_area VALUES ($1, 'U-2') ON CONFLICT DO NOTHING", THEIRS
        )
        expected = [
            ({}, set()),
            ({"owners": "C-9,C-10"}, set()),
            ({"owners": f"{MINE}%,_", "areas": "%"}, set()),
            ({"owners": MINE}, {MINE}),
            ({"areas": "U-2"}, {THEIRS}),
            ({"areas": "U-9"}, set()),
            ({"everything": "true"}, set()),
            ({"everything": "on"}, {MINE, THEIRS}),
        ]
        for scope, seen in expected:
            async with connection.transaction():
                await _scoped(connection, **scope)
                rows = await connection.fetch(f'SELECT DISTINCT "{owner}" AS o FROM {name}')
                assert {r["o"] for r in rows} & {MINE, THEIRS} == seen, scope
        rows = await connection.fetch(f'SELECT 1 FROM {name} WHERE "{owner}" IS NOT NULL')
        assert rows == [], "the scope of a transaction that ended is still there"
    finally:
        await connection.close()
        await admin.close()


@pytest.mark.parametrize(("service", "table"), OWNED)
async def test_the_api_cannot_write_a_foreign_row_nor_give_one_away(town: Town, service: Any, table: Table) -> None:
    if table.name in service.api_hidden:
        return
    connection = await town.login(service.name, "api")
    name, owner = f'"{service.name}"."{table.name}"', service.owned[table.name]
    rows = {c: row_of(table, f"{c}-new", owner=owner) | {owner: c} for c in (MINE, THEIRS)}
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
            await _insert_as_mine(connection, table, rows[THEIRS])
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
            await _give_away(connection, f'UPDATE {name} SET "{owner}" = $1')
        async with connection.transaction():
            await _scoped(connection, owners=MINE)
            for verb in (f'UPDATE {name} SET "{owner}" = "{owner}" WHERE "{owner}" = $1', f"DELETE FROM {name} WHERE "
                         f'"{owner}" = $1'):  # fmt: skip
                assert (await connection.execute(verb, THEIRS)).endswith(" 0"), verb
    finally:
        await connection.close()


@pytest.mark.parametrize("service", sorted(SERVICES))
async def test_security_is_forced_and_no_login_can_step_over_it(
    town: Town, service: str, admin: asyncpg.Connection
) -> None:
    rows = await admin.fetch(
        "SELECT c.relname, c.relrowsecurity, c.relforcerowsecurity FROM pg_class c JOIN pg_namespace n"
        " ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relkind IN ('r', 'p')", service,
    )  # fmt: skip
    state = {r["relname"]: r["relrowsecurity"] and r["relforcerowsecurity"] for r in rows}
    assert {t for t in SERVICES[service].owned if not state[t]} == set()
    owner = await town.login(service, "migrator")
    try:
        for table in SERVICES[service].owned:
            assert await owner.fetch(f'SELECT 1 FROM "{service}"."{table}"') == [], "the owner of a table sees its rows"
    finally:
        await owner.close()


@pytest.mark.parametrize("service", sorted(SERVICES))
async def test_no_partition_can_be_read_or_written_directly(
    town: Town, service: str, admin: asyncpg.Connection
) -> None:
    rows = await admin.fetch(
        "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
        " JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relkind IN ('r', 'p')", service,
    )  # fmt: skip
    partitions = [r["relname"] for r in rows]
    assert len(partitions) >= 16, "outbox and audit alone have more"
    for role in ("api", "worker"):
        connection = await town.login(service, role)
        for partition in partitions:
            for sql in ("SELECT 1 FROM {0}", "DELETE FROM {0}", "TRUNCATE {0}"):
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await connection.execute(sql.format(f'"{service}"."{partition}"'))
        await connection.close()


@pytest.mark.parametrize("service", sorted(SERVICES))
async def test_a_service_cannot_reach_another_schema_nor_make_or_change_tables(town: Town, service: str) -> None:
    for role in ("api", "worker"):
        connection = await town.login(service, role)
        refused = [f"SELECT 1 FROM {other}.audit" for other in SERVICES if other != service]
        refused += [
            f"CREATE TABLE {service}.mine (i int)", "CREATE TABLE public.mine (i int)",
            f"DROP TABLE {service}.outbox", f"ALTER TABLE {service}.audit DISABLE ROW LEVEL SECURITY",
            f"UPDATE {service}.audit SET actor = 'x'", f"DELETE FROM {service}.audit", f"TRUNCATE {service}.audit",
            f"SET ROLE {service}_migrator",
        ]  # fmt: skip
        for sql in refused:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(sql)
        await connection.close()
