-- Some backends, of whatever kind, and what forbids to aim at them.
-- Cost: under 1 ms. Privilege: pg_read_all_stats for the kind of backend and its start.
-- $1: pids.
SELECT a.pid, a.backend_start, a.backend_type, a.xact_start, a.query_start, a.state,
       coalesce(a.usename::text, '') AS role, coalesce(r.rolsuper, false) AS superuser,
       a.pid = pg_backend_pid() AS self,
       -- A client's session: by its role or by pg_signal_backend. A process of the server's own: a superuser, and from 18 on who may
       -- signal autovacuum workers.
       own.rolsuper OR CASE
           WHEN a.usesysid IS NOT NULL
               THEN pg_has_role(a.usesysid, 'USAGE') OR pg_has_role('pg_signal_backend', 'USAGE')
           WHEN a.backend_type = 'autovacuum worker'
               THEN EXISTS (SELECT FROM pg_roles w WHERE w.rolname = 'pg_signal_autovacuum_worker' AND pg_has_role(w.oid, 'USAGE'))
           ELSE false END AS may_signal
FROM pg_stat_activity a LEFT JOIN pg_roles r ON r.oid = a.usesysid
CROSS JOIN (SELECT rolsuper FROM pg_roles WHERE rolname = session_user) own
WHERE a.pid = ANY ($1::int4[])
