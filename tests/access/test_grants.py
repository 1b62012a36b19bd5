"""What the logins may do, as the database tells it, compared with the list that was read and approved.

`python -m tests.access.test_grants` writes the list anew; the difference is then read like any change of the code.
"""

import asyncio
from pathlib import Path

from deploy.local.postgres import EmbeddedPostgres
from tests.access.house import SERVICES, Town, build_town

GOLDEN = Path(__file__).parent / "grants.txt"
_TABLES = """
SELECT t.table_schema AS s, t.grantee AS g, t.table_name AS n, string_agg(t.privilege_type, ' ' ORDER BY
  array_position(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE'], t.privilege_type::text), t.privilege_type) AS p
FROM information_schema.role_table_grants t
WHERE t.table_schema = ANY ($1) AND t.grantee <> t.table_schema || '_migrator'
GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""
_COLUMNS = """
SELECT DISTINCT c.table_schema AS s, c.grantee AS g, c.table_name AS n, c.column_name AS p
FROM information_schema.column_privileges c
WHERE c.table_schema = ANY ($1) AND c.grantee <> c.table_schema || '_migrator' AND NOT EXISTS (
  SELECT 1 FROM information_schema.role_table_grants t WHERE t.table_schema = c.table_schema
  AND t.table_name = c.table_name AND t.grantee = c.grantee AND t.privilege_type = c.privilege_type)
ORDER BY 1, 2, 3, 4
"""
_ROUTINES = """
SELECT r.routine_schema AS s, r.grantee AS g, r.routine_name || '()' AS n, r.privilege_type AS p
FROM information_schema.role_routine_grants r
WHERE r.routine_schema = ANY ($1) AND r.grantee <> r.routine_schema || '_migrator' ORDER BY 1, 2, 3, 4
"""


async def _lines(town: Town) -> list[str]:
    admin = await town.admin()
    try:
        rows = [r for sql in (_TABLES, _COLUMNS, _ROUTINES) for r in await admin.fetch(sql, sorted(SERVICES))]
    finally:
        await admin.close()
    return [f"{r['g']} {r['s']}.{r['n']}: {r['p']}" for r in rows]


async def test_the_logins_may_do_what_the_approved_list_says_and_no_more(town: Town) -> None:
    now, approved = set(await _lines(town)), set(GOLDEN.read_text(encoding="utf-8").splitlines())
    how = "run: python -m tests.access.test_grants, and read the difference"
    assert now - approved == set(), how
    assert approved - now == set(), how


async def test_no_login_holds_more_than_the_four_verbs_nor_anything_of_another_service(town: Town) -> None:
    for line in await _lines(town):
        login, rest = line.split(" ", 1)
        assert rest.startswith(f"{login.rsplit('_', 1)[0]}."), line
        assert login.rsplit("_", 1)[1] in {"api", "worker"}, line
        assert set(rest.split(": ")[1].split()) <= {"SELECT", "INSERT", "UPDATE", "DELETE", "EXECUTE"}, line
        if ".audit:" in rest or ".audit_root:" in rest:
            assert rest.endswith(": SELECT INSERT"), line


async def _write() -> None:
    server = EmbeddedPostgres(folder=Path("var") / "grants", synchronous_commit="off")
    try:
        lines = await _lines(await build_town(server.start()))
    finally:
        server.stop()
    GOLDEN.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


if __name__ == "__main__":
    asyncio.run(_write())
