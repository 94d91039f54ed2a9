-- Whose open transactions hold locks in a schema that a fence has to wait out.
-- Cost: some ms. Privilege: pg_read_all_stats for the sessions' roles.
-- $1: the schema.
SELECT DISTINCT 'session ' || coalesce(l.pid::text, 'of a prepared transaction') || coalesce(' of ' || a.usename, '')
         || coalesce(', open for ' || extract(epoch FROM clock_timestamp() - a.xact_start)::int8 || ' s', '') AS who
FROM pg_locks l LEFT JOIN pg_stat_activity a USING (pid)
WHERE l.granted AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND coalesce(a.application_name, '') NOT LIKE 'tierdeck op %'
  AND (l.locktype = 'relation' AND l.mode <> 'AccessShareLock'
         AND l.relation IN (SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                            WHERE n.nspname = $1 AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S'))
    OR l.locktype = 'object' AND l.classid = 'pg_namespace'::regclass
         AND l.objid = (SELECT oid FROM pg_namespace WHERE nspname = $1))
