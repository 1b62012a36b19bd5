"""What the logins may do, as the database tells it, compared with the list that was read and approved.

`python -m tests.access.test_grants` writes the list anew; the difference is then read like any change of the code.
"""

import asyncio
from pathlib import Path

import pytest

from deploy.local.postgres import EmbeddedPostgres
from tests.access.house import SERVICES, Town, build_town

GOLDEN = Path(__file__).parent / "grants.txt"
# The catalogue itself: the views of information_schema take 20 s for the same, and know nothing of MAINTAIN.
_OF_TABLES = """
SELECT c.oid, n.nspname AS s, coalesce(g.rolname, 'PUBLIC') AS g, c.relname AS n, a.privilege_type AS p
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
CROSS JOIN LATERAL aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) a
LEFT JOIN pg_roles g ON g.oid = a.grantee
WHERE n.nspname = ANY ($1) AND c.relkind IN ('r', 'v', 'm', 'f', 'p')
AND g.rolname IS DISTINCT FROM n.nspname || '_migrator'
"""
_TABLES = f"""
SELECT t.s, t.g, t.n, string_agg(t.p, ' ' ORDER BY
  array_position(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE'], t.p), t.p) AS p
FROM ({_OF_TABLES}) t GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""
_COLUMNS = f"""
SELECT DISTINCT n.nspname AS s, coalesce(g.rolname, 'PUBLIC') AS g, c.relname AS n, k.attname AS p
FROM pg_attribute k JOIN pg_class c ON c.oid = k.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
CROSS JOIN LATERAL aclexplode(k.attacl) a LEFT JOIN pg_roles g ON g.oid = a.grantee
WHERE n.nspname = ANY ($1) AND NOT k.attisdropped AND g.rolname IS DISTINCT FROM n.nspname || '_migrator'
AND (c.oid, coalesce(g.rolname, 'PUBLIC'), a.privilege_type) NOT IN (SELECT t.oid, t.g, t.p FROM ({_OF_TABLES}) t)
ORDER BY 1, 2, 3, 4
"""
_ROUTINES = """
SELECT n.nspname AS s, coalesce(g.rolname, 'PUBLIC') AS g, r.proname || '()' AS n, a.privilege_type AS p
FROM pg_proc r JOIN pg_namespace n ON n.oid = r.pronamespace
CROSS JOIN LATERAL aclexplode(coalesce(r.proacl, acldefault('f', r.proowner))) a
LEFT JOIN pg_roles g ON g.oid = a.grantee
WHERE n.nspname = ANY ($1) AND g.rolname IS DISTINCT FROM n.nspname || '_migrator' ORDER BY 1, 2, 3, 4
"""


async def _lines(town: Town) -> list[str]:
    admin = await town.admin()
    try:
        rows = [r for sql in (_TABLES, _COLUMNS, _ROUTINES) for r in await admin.fetch(sql, sorted(SERVICES))]
    finally:
        await admin.close()
    return [f"{r['g']} {r['s']}.{r['n']}: {r['p']}" for r in rows]


@pytest.fixture(scope="module")
def lines(town: Town) -> list[str]:
    return asyncio.run(_lines(town))


def test_the_logins_may_do_what_the_approved_list_says_and_no_more(lines: list[str]) -> None:
    now, approved = set(lines), set(GOLDEN.read_text(encoding="utf-8").splitlines())
    how = "run: python -m tests.access.test_grants, and read the difference"
    assert now - approved == set(), how
    assert approved - now == set(), how


def test_no_login_holds_more_than_the_four_verbs_nor_anything_of_another_service(lines: list[str]) -> None:
    assert len(lines) > 100
    for line in lines:
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
