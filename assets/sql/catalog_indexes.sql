-- Indexes that are not valid: written to and not used. One that is being built is not valid yet.
-- Cost: 5 ms with 6,000 tables. Privilege: pg_read_all_stats (in pg_monitor) to tell whether one is being built; a size is asked
-- for only where nobody holds or awaits the lock behind which that would wait.
SELECT current_database()::text AS database, n.nspname::text AS schema, t.relname::text AS "table", c.relname::text AS index,
       CASE WHEN EXISTS (SELECT FROM pg_locks l WHERE l.relation = c.oid AND l.mode = 'AccessExclusiveLock')
            THEN c.relpages * current_setting('block_size')::int8
            ELSE coalesce(pg_relation_size(c.oid), 0) END AS bytes,
       x.indisunique AS "unique",
       EXISTS (SELECT FROM pg_stat_progress_create_index p
               -- REINDEX TABLE CONCURRENTLY has several on the way and names one of them.
               WHERE p.datname = current_database() AND p.relid = t.oid) AS building
FROM pg_index x
JOIN pg_class c ON c.oid = x.indexrelid AND c.relkind = 'i'
JOIN pg_class t ON t.oid = x.indrelid
JOIN pg_namespace n ON n.oid = t.relnamespace
WHERE NOT x.indisvalid AND n.nspname !~ '^pg_(toast|temp)'
ORDER BY bytes DESC
LIMIT 200
