-- Whose transactions, begun before a moment, hold what the lock of no table waits for: a sequence that they drew from, or the
-- schema, in which they make something. What began later was refused.
-- Cost: under 1 ms. Privilege: pg_read_all_stats.
-- $1: the schema; $2: the moment; null: now.
SELECT clock_timestamp() AS now, coalesce(array_agg(DISTINCT
         CASE WHEN l.pid IS NULL THEN 'a prepared transaction'
              ELSE 'session ' || l.pid || coalesce(' of ' || a.usename, '')
                   || coalesce(' (began ' || to_char(a.backend_start AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') || ')', '') END)
         FILTER (WHERE l.locktype IS NOT NULL), '{}') AS who
FROM pg_locks l LEFT JOIN pg_stat_activity a USING (pid)
WHERE l.granted AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND l.pid IS DISTINCT FROM pg_backend_pid()
  AND (l.pid IS NULL OR a.xact_start < coalesce($2::timestamptz, clock_timestamp()))
  AND (l.locktype = 'relation' AND l.mode NOT IN ('AccessShareLock', 'RowShareLock')
         AND l.relation IN (SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                            WHERE n.nspname = $1 AND c.relkind IN ('S', 'f', 'm'))
    OR l.locktype = 'object' AND l.classid = 'pg_namespace'::regclass
         AND l.objid = (SELECT oid FROM pg_namespace WHERE nspname = $1))
