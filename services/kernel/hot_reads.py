"""A hot read: one owner's row for one caller, in one statement with grants, scope, row-level security and audit.

The statement calls a function of the schema, `<service>.<name>`, made anew after every migration. It runs as the
API's login: what it reads passes the policies of the tables under the scope that it has set itself
(docs/adr/0011-hot-reads.md).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Select, String, literal_column
from sqlalchemy.dialects import postgresql

OWNER: ColumnElement[str] = literal_column("_owner", String)
"""The owner that is asked for, in the statements of a `HotRead`."""
Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])
_DIALECT = postgresql.dialect(paramstyle="named")  # type: ignore[no-untyped-call]


@dataclass(frozen=True, kw_only=True)
class HotRead:
    """`row` finds at most one row and what belongs to it; nothing is audited where there is none.

    `more` may find another row beside it. Both are of literals and `OWNER` alone.
    """

    name: str
    """Of the function in the schema."""
    action: str
    object_type: str
    what_zh: str
    what_en: str
    """What is not found where there is no row."""
    row: Select[Any]
    more: Select[Any] | None = None

    @cached_property
    def row_names(self) -> tuple[str, ...]:
        return tuple(self.row.selected_columns.keys())

    @cached_property
    def more_names(self) -> tuple[str, ...]:
        return tuple(self.more.selected_columns.keys()) if self.more is not None else ()


def hot(read: HotRead) -> Callable[[Endpoint], Endpoint]:
    """Answer the route, a GET of one owner, from `read`; its endpoint takes `Found` in place of `Work`."""

    def mark(endpoint: Endpoint) -> Endpoint:
        endpoint.__keyline_hot_read__ = read  # type: ignore[attr-defined]
        return endpoint

    return mark


def call_of(service: str, read: HotRead) -> str:
    """One statement for several callers of one route.

    $1 roles, $2 roles that count where no other does, $3 the hour, $4 whether the application checks the scope as
    well; then arrays with an entry a caller: $5 persons, $6 owners, $7 owners behind a pseudonym, $8 causes. Answers
    in order: caller (from 1), outcome (`read`, `absent`, `forbidden`), role, columns of `row`, of `more`.
    """
    function = f'"{service}"."{read.name}"($1, $2, $3, $4, $5, $6, $7, $8)'
    return f"SELECT * FROM {function} ORDER BY caller"  # noqa: S608 - see `statements`


def statements(service: str, read: HotRead) -> list[str]:
    """SQL for the migrator to run: the function, and that only the API's login may call it."""
    name = f'"{service}"."{read.name}"'
    return [
        f"DROP FUNCTION IF EXISTS {name}",
        _function(service, read),
        f"REVOKE ALL ON FUNCTION {name} FROM PUBLIC",
        f"GRANT EXECUTE ON FUNCTION {name} TO {service}_api",
    ]


def _function(s: str, read: HotRead) -> str:
    """Scope after scope: it is set before anything of an owner is read for the callers who have it."""
    columns = (*_columns("row", read.row), *_columns("more", read.more))
    outs = "".join(f", {name} {kind}" for name, kind in columns)
    return f"""
CREATE FUNCTION "{s}"."{read.name}"(
  _roles text[], _last_resort text[], _at timestamptz, _checked boolean,
  _persons text[], _asked text[], _unveiled text[], _causes text[])
RETURNS TABLE (caller integer, outcome text, caller_role text{outs})
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $function$
#variable_conflict use_column
DECLARE
  _same record;
  _owner text;
  _set text;
  _for text;
  _read integer[] := '{{}}';
  _fors text[] := '{{}}';
  _read_as text[] := '{{}}';
  _read_owners text[] := '{{}}';
BEGIN
  FOR _same IN {_scopes(s)}
  LOOP
    IF NOT _same.covered THEN
      RETURN QUERY SELECT u.n, CASE WHEN u.held_as IS NULL THEN 'forbidden' ELSE 'absent' END, u.held_as
        {"".join(f", NULL::{kind}" for _, kind in columns)} FROM unnest(_same.callers, _same.roles) AS u(n, held_as);
      CONTINUE;
    END IF;
    -- What the policies show until the next scope.
    _set := set_config('keyline.everything', CASE WHEN _same.everything THEN 'on' ELSE 'off' END, true)
      || set_config('keyline.owners', _same.scope_owners, true) || set_config('keyline.areas', _same.scope_areas, true);
    FOR caller, caller_role, _owner, outcome{"".join(f", {name}" for name, _ in columns)} IN
      SELECT u.n, u.held_as, u._owner, coalesce(found.outcome, 'absent'){"".join(f", found.{n}" for n, _ in columns)}
      FROM unnest(_same.callers, _same.roles, _same.owners) AS u(n, held_as, _owner) LEFT JOIN LATERAL (
        SELECT 'read' AS outcome, its.* FROM ({_joined(read)}) AS its LIMIT 1) AS found ON true
    LOOP
      IF outcome = 'read' THEN
        _for := NULL;
        IF caller = ANY (_same.acting) THEN
          {_acting_for(s)}
        END IF;
        _read := _read || caller;
        _fors := _fors || _for;
        _read_as := _read_as || caller_role;
        _read_owners := _read_owners || _owner;
      END IF;
      RETURN NEXT;
    END LOOP;
  END LOOP;
  IF cardinality(_read) > 0 THEN
    INSERT INTO "{s}".audit (actor, acting_for, role, action, object_type, object_id, owner_id, cause_id)
      SELECT _persons[r.n], r.acting_for, r.role, '{read.action}', '{read.object_type}', r.owner, r.owner, _causes[r.n]
      FROM unnest(_read, _fors, _read_as, _read_owners) AS r(n, acting_for, role, owner);
  END IF;
END $function$"""  # noqa: S608 - names and statements come from the code; what callers say is an argument


def _scopes(s: str) -> str:
    """The scopes that the callers' grants of this moment give, each with the callers who have just this one.

    `covered` is the application's own check. The rule of services/kernel/auth/grants.py, access_of: roles of last
    resort count where no other one is held.
    """
    return f"""
    WITH held AS (
      SELECT p.person, h.* FROM (SELECT DISTINCT a.person FROM unnest(_persons) AS a(person)) AS p
      CROSS JOIN LATERAL (
        SELECT g.role = ANY (_roles) AS by_roles, bool_or(g.scope_kind = 'everything') AS everything,
          coalesce(string_agg(DISTINCT g.scope_id, ',') FILTER (WHERE g.scope_kind = 'owner'), '') AS scope_owners,
          coalesce(string_agg(DISTINCT g.scope_id, ',') FILTER (WHERE g.scope_kind = 'area'), '') AS scope_areas,
          bool_or(g.acting_for IS NOT NULL) AS acting,
          coalesce(min(g.role COLLATE "C") FILTER (WHERE g.acting_for IS NULL), min(g.role COLLATE "C")) AS role
          FROM "{s}".access_grant g WHERE g.person_id = p.person AND g.role = ANY (_roles || _last_resort)
          AND g.valid_from <= _at AND (g.valid_to IS NULL OR g.valid_to > _at)
          GROUP BY by_roles ORDER BY by_roles DESC LIMIT 1) AS h),
    callers AS (
      SELECT c.n, o.id, h.*, coalesce(h.role IS NOT NULL AND o.id IS NOT NULL AND (NOT _checked OR h.everything
        OR o.id = ANY (string_to_array(h.scope_owners, ',')) OR EXISTS (
          SELECT 1 FROM "{s}".owner_area a WHERE a.owner_id = o.id
          AND a.area_id = ANY (string_to_array(h.scope_areas, ',')))), false) AS covered
      FROM unnest(_persons, _asked, _unveiled) WITH ORDINALITY AS c(person, asked, unveiled, n)
      LEFT JOIN held h ON h.person = c.person
      CROSS JOIN LATERAL (SELECT CASE WHEN h.by_roles THEN c.asked ELSE c.unveiled END) AS o(id))
    SELECT covered, everything, scope_owners, scope_areas, array_agg(n::integer) AS callers, array_agg(id) AS owners,
      array_agg(role) AS roles, array_agg(n::integer) FILTER (WHERE acting) AS acting
      FROM callers GROUP BY covered, everything, scope_owners, scope_areas"""  # noqa: S608


def _acting_for(s: str) -> str:
    """In whose place the owner's rows are touched: nobody's where an own grant covers the owner."""
    return f"""SELECT CASE WHEN bool_or(h.covers AND h.acting_for IS NULL) THEN NULL
          ELSE coalesce(min(h.acting_for COLLATE "C") FILTER (WHERE h.covers),
            CASE WHEN bool_and(h.acting_for IS NOT NULL)
              THEN (array_agg(h.acting_for ORDER BY h.role COLLATE "C", h.acting_for COLLATE "C"))[1] END) END
          INTO _for FROM (
            SELECT g.role, g.acting_for, (g.scope_kind = 'everything'
              OR (g.scope_kind = 'owner' AND g.scope_id = _owner)
              OR (g.scope_kind = 'area' AND EXISTS (SELECT 1 FROM "{s}".owner_area a
                WHERE a.owner_id = _owner AND a.area_id = g.scope_id))) AS covers
            FROM "{s}".access_grant g WHERE g.person_id = _persons[caller]
            AND g.role = ANY (CASE WHEN caller_role = ANY (_roles) THEN _roles ELSE _last_resort END)
            AND g.valid_from <= _at AND (g.valid_to IS NULL OR g.valid_to > _at)) h;"""  # noqa: S608


def _columns(prefix: str, statement: Select[Any] | None) -> list[tuple[str, str]]:
    """Name -> type of each column. The names are ours, so that no column of a table is meant by one of them."""
    columns = statement.selected_columns if statement is not None else ()
    return [(f"{prefix}_{n}", column.type.compile(dialect=_DIALECT)) for n, column in enumerate(columns)]


def _joined(read: HotRead) -> str:
    def named(prefix: str, statement: Select[Any]) -> str:
        text = statement.compile(dialect=_DIALECT, compile_kwargs={"literal_binds": True})
        names = ", ".join(name for name, _ in _columns(prefix, statement))
        return f"({text}) AS its_{prefix}({names})"

    more = f" LEFT JOIN LATERAL {named('more', read.more)} ON true" if read.more is not None else ""
    return f"SELECT * FROM {named('row', read.row)}{more}"  # noqa: S608
