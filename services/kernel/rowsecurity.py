# ruff: noqa: S608  (names come from manifests, checked against the metadata; identifiers cannot be bound)
"""Grants, policies and partition keeping of one schema, applied after every migration; safe to repeat.

`<service>_migrator` owns the tables, `<service>_api` serves requests under the caller's scope, `<service>_worker`
serves consumers and jobs. Rights stand on parent tables only: no partition can be read directly.
"""

from sqlalchemy import Table

from services.kernel import hot_reads
from services.kernel.manifest import Service
from services.kernel.tables import kernel_tables

_API_LESS = {
    "access_grant": "SELECT",
    "owner_area": "SELECT",
    "outbox": "SELECT, INSERT",
    "outbox_stream": "SELECT, INSERT, UPDATE",
    "waiting": "SELECT, INSERT, UPDATE",
    "dead_letter": "SELECT, UPDATE",
    "idempotency_key": "SELECT, INSERT",
}
"""What the API's login does with the kernel's tables: it reads grants and areas, it never gives any."""
_API_NEVER = {"inbox", "state_version", "job_lease", "audit_root"}


def statements(service: Service) -> list[str]:
    """SQL for the migrator to run, in order."""
    s = service.name
    kernel = kernel_tables(service.metadata)
    result = [
        f'REVOKE ALL ON ALL TABLES IN SCHEMA "{s}" FROM PUBLIC, {s}_api, {s}_worker',
        f'GRANT USAGE ON SCHEMA "{s}" TO {s}_api, {s}_worker',
        *_partition_functions(s),
    ]
    for table in service.metadata.sorted_tables:
        result += _rights(service, table, append_only=table in (kernel.audit, kernel.audit_root))
        if owner := service.owned.get(table.name):
            result += _policies(s, table.name, owner)
    for extra in service.metadata.info.get("after_migration", []):
        result.append(str(extra))
    for read in service.hot_reads:
        result += hot_reads.statements(s, read)
    return result


def _rights(service: Service, table: Table, *, append_only: bool) -> list[str]:
    s, name = service.name, table.name
    verbs = "SELECT, INSERT" if append_only else "SELECT, INSERT, UPDATE, DELETE"
    rights = [f'GRANT {verbs} ON "{s}"."{name}" TO {s}_worker']
    if name not in _API_NEVER and name not in service.api_hidden:
        verbs = _API_LESS.get(name, verbs)
        if name == "access_grant" and service.api_withdraws_grants:
            verbs = f"{verbs}, DELETE"
        rights.append(f'GRANT {verbs} ON "{s}"."{name}" TO {s}_api')
    return rights


def _policies(s: str, table: str, owner: str) -> list[str]:
    visible = (
        f"(SELECT current_setting('keyline.everything', true)) = 'on'"
        f" OR \"{owner}\" = ANY ((SELECT string_to_array(current_setting('keyline.owners', true), ','))::text[])"
        # Correlated: the planner probes a row's own areas by key, or hashes the area once where it reads many rows.
        f' OR EXISTS (SELECT 1 FROM "{s}".owner_area a WHERE a.owner_id = "{table}"."{owner}" AND a.area_id ='
        f" ANY ((SELECT string_to_array(current_setting('keyline.areas', true), ','))::text[]))"
    )
    return [
        f'ALTER TABLE "{s}"."{table}" ENABLE ROW LEVEL SECURITY',
        f'ALTER TABLE "{s}"."{table}" FORCE ROW LEVEL SECURITY',
        f'DROP POLICY IF EXISTS api_scope ON "{s}"."{table}"',
        f'CREATE POLICY api_scope ON "{s}"."{table}" TO {s}_api USING ({visible}) WITH CHECK ({visible})',
        f'DROP POLICY IF EXISTS worker_all ON "{s}"."{table}"',
        f'CREATE POLICY worker_all ON "{s}"."{table}" TO {s}_worker USING (true) WITH CHECK (true)',
    ]


def _partition_functions(s: str) -> list[str]:
    keep = f"""
CREATE OR REPLACE FUNCTION "{s}".keep_day_partitions(retention_days integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE parent text; d date; child text; dropped integer := 0; open_rows boolean;
BEGIN
  FOREACH parent IN ARRAY ARRAY['outbox', 'audit'] LOOP
    FOR d IN SELECT generate_series(current_date - 1, current_date + 7, interval '1 day')::date LOOP
      child := parent || '_' || to_char(d, 'YYYYMMDD');
      EXECUTE format('CREATE TABLE IF NOT EXISTS %I.%I PARTITION OF %I.%I FOR VALUES FROM (%L) TO (%L)',
        '{s}', child, '{s}', parent, d::timestamp AT TIME ZONE 'UTC', (d + 1)::timestamp AT TIME ZONE 'UTC');
    END LOOP;
    FOR child IN SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
      WHERE i.inhparent = format('%I.%I', '{s}', parent)::regclass
        AND c.relname ~ (parent || '_[0-9]{{8}}$')
        AND to_date(right(c.relname, 8), 'YYYYMMDD') < current_date - retention_days LOOP
      open_rows := false;
      IF parent = 'outbox' THEN
        EXECUTE format('SELECT EXISTS (SELECT 1 FROM %I.%I WHERE published_at IS NULL)', '{s}', child) INTO open_rows;
      END IF;
      IF NOT open_rows THEN
        EXECUTE format('DROP TABLE %I.%I', '{s}', child);
        dropped := dropped + 1;
      END IF;
    END LOOP;
  END LOOP;
  RETURN dropped;
END $$"""
    return [
        keep,
        f'REVOKE ALL ON FUNCTION "{s}".keep_day_partitions(integer) FROM PUBLIC',
        f'GRANT EXECUTE ON FUNCTION "{s}".keep_day_partitions(integer) TO {s}_worker',
        f'SELECT "{s}".keep_day_partitions(400)',
    ]
