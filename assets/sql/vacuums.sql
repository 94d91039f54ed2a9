-- Vacuums that run, with their progress, and how many workers autovacuum may have. A TOAST table goes under its owner's name.
-- Cost: 1 ms; a few sessions are looked up. The columns are those that 14 to 18 have in common.
-- Privilege: pg_read_all_stats (in pg_monitor) for everything but the fact that one runs; names only in our own database.
SELECT s.workers, p.pid, p.datname::text AS database, n.nspname::text AS schema, coalesce(o.relname, c.relname)::text AS "table",
       a.backend_type = 'autovacuum worker' AS automatic,
       -- As bytes: see activity.sql.
       CASE WHEN a.backend_type = 'autovacuum worker' THEN textsend(a.query) END AS query,
       p.phase, p.heap_blks_total AS blocks, p.heap_blks_scanned AS scanned, p.heap_blks_vacuumed AS vacuumed,
       p.index_vacuum_count AS index_rounds,
       coalesce(a.xact_start, a.query_start) AS since, a.wait_event_type || ':' || a.wait_event AS wait
FROM (SELECT current_setting('autovacuum_max_workers')::int4 AS workers) s
LEFT JOIN pg_stat_progress_vacuum p ON true
LEFT JOIN LATERAL pg_stat_get_activity(p.pid) a ON p.pid IS NOT NULL
LEFT JOIN pg_class c ON c.oid = p.relid AND p.datname = current_database()
-- Only of what is a TOAST table: anybody may call a table pg_toast_9999999999, which is no oid.
LEFT JOIN pg_class o ON o.oid = CASE WHEN c.relkind = 't' THEN substring(c.relname from '^pg_toast_(\d{1,10})$')::oid END
LEFT JOIN pg_namespace n ON n.oid = coalesce(o.relnamespace, c.relnamespace)
