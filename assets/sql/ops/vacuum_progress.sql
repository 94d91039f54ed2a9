-- How far the vacuum of a table is.
-- Cost: under 1 ms. Privilege: pg_read_all_stats, or the vacuum is of our own login.
-- $1: schema, $2: name.
SELECT p.phase, p.heap_blks_scanned AS done, p.heap_blks_total AS total
FROM pg_stat_progress_vacuum p JOIN pg_class c ON c.oid = p.relid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE p.datname = current_database() AND n.nspname = $1 AND c.relname = $2
