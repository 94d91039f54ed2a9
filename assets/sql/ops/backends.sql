-- Some backends, of whatever kind, and what forbids to aim at them.
-- Cost: under 1 ms. Privilege: pg_read_all_stats for the kind of backend and its start.
-- $1: pids.
SELECT a.pid, a.backend_start, a.backend_type, a.xact_start, a.query_start, a.state,
       coalesce(a.usename::text, '') AS role, coalesce(r.rolsuper, false) AS superuser,
       a.pid = pg_backend_pid() AS self
FROM pg_stat_activity a LEFT JOIN pg_roles r ON r.oid = a.usesysid
WHERE a.pid = ANY ($1::int4[])
