-- The locks of one session: those that it waits for first, then the strongest; at most 80, and how many there are.
-- Cost: 1 ms, grows with all locks of the server. Asked when somebody looks at a session, never polled. Privilege: none.
-- $1, $2: pid and start of the session. One row in any case, without a lock when it holds none or is gone.
SELECT s.here, clock_timestamp() AS now, l.*
FROM (SELECT EXISTS (SELECT FROM pg_stat_get_activity($1) a
                     WHERE a.backend_start = $2 OR a.backend_start IS NULL) AS here) s
LEFT JOIN LATERAL (
    SELECT l.locktype, l.mode, l.granted, l.waitstart, (count(*) OVER ())::int4 AS of,
           CASE
               WHEN l.relation IS NOT NULL THEN
                   coalesce((SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                             WHERE c.oid = l.relation
                               AND l.database IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))),
                            'relation ' || l.relation)
                   || coalesce(', row (' || l.page || ',' || l.tuple || ')', ', page ' || l.page, '')
               WHEN l.transactionid IS NOT NULL THEN 'transaction ' || l.transactionid::text
               WHEN l.virtualxid IS NOT NULL THEN 'virtual transaction ' || l.virtualxid
               WHEN l.locktype = 'advisory' THEN 'key ' || l.classid || ', ' || l.objid
               ELSE concat_ws(' ', 'object', l.objid, 'of', (SELECT relname FROM pg_class WHERE oid = l.classid))
           END AS what
    FROM pg_locks l
    -- Every session holds the lock on its own virtual transaction: that says nothing.
    WHERE l.pid = $1 AND NOT (l.locktype = 'virtualxid' AND l.granted)
    ORDER BY l.granted,
             array_position(ARRAY['AccessExclusiveLock', 'ExclusiveLock', 'ShareRowExclusiveLock', 'ShareLock',
                                  'ShareUpdateExclusiveLock', 'RowExclusiveLock', 'RowShareLock', 'AccessShareLock'], l.mode),
             l.relation, l.page, l.tuple
    LIMIT 80
) l ON s.here
