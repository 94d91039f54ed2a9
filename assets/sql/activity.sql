-- Every client session with what it waits for, who blocks it, and the schemas of the relations it holds locks on.
-- Cost: 2 to 4 ms with 100 sessions; grows with sessions and locks. pg_blocking_pids() takes all lock partitions, so it is
-- asked for 64 waiters at most: the oldest of each queue first, because one storm must not hide another. For the rest the
-- source guesses from who stands in the same queue, and says so.
-- 8 ms with 200 sessions that hold 800 locks; that the locked tables are named costs nothing that could be measured.
-- Privilege: pg_read_all_stats (in pg_monitor) for other people's queries and states; locks are visible to everybody.
-- $1: our application_name; sessions of our login that carry it are counted, not shown.
WITH locks AS MATERIALIZED (
    SELECT pid, locktype, database, relation, mode, granted, waitstart,
           CASE WHEN NOT granted THEN
               concat_ws(':', mode, locktype, database, relation, page, tuple, virtualxid, transactionid, classid, objid, objsubid)
           END AS target
    FROM pg_locks
    WHERE relation >= 16384 OR NOT granted
), touched AS MATERIALIZED (
    SELECT l.pid, array_agg(DISTINCT n.nspname::text) AS schemas,
           -- What a statement names, for who has few: a dump holds locks on everything.
           CASE WHEN count(*) <= 128 THEN array_agg(n.nspname || E'\x01' || c.relname)
               FILTER (WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')) END AS relations
    FROM locks l
    CROSS JOIN LATERAL (SELECT c.relnamespace, c.relname, c.relkind FROM pg_class c WHERE c.oid = l.relation OFFSET 0) c
    CROSS JOIN LATERAL (SELECT n.nspname FROM pg_namespace n WHERE n.oid = c.relnamespace OFFSET 0) n
    WHERE l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    GROUP BY l.pid
), waiting AS MATERIALIZED (
    SELECT DISTINCT ON (l.pid) l.pid, l.mode, l.waitstart, l.target, c.relation, c.schema,
           row_number() OVER (ORDER BY l.turn, l.waitstart NULLS LAST) AS place
    FROM (SELECT *, row_number() OVER (PARTITION BY target ORDER BY waitstart NULLS LAST) AS turn
          FROM locks WHERE NOT granted) l
    LEFT JOIN LATERAL (
        SELECT r.relname::text AS relation, r.relnamespace::regnamespace::text AS schema
        FROM pg_class r
        WHERE l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
          AND r.oid = coalesce(l.relation, (
              SELECT t.relation FROM locks t
              WHERE t.pid = l.pid AND t.locktype = 'tuple' AND t.granted LIMIT 1))
        OFFSET 0
    ) c ON true
    ORDER BY l.pid, l.waitstart NULLS LAST
)
SELECT a.pid, a.backend_start, a.leader_pid, a.backend_type,
       pg_get_userbyid(a.usesysid)::text AS role,
       (SELECT datname::text FROM pg_database WHERE oid = a.datid) AS database,
       a.application_name,
       CASE WHEN a.client_addr IS NOT NULL THEN host(a.client_addr) || ':' || a.client_port ELSE 'local' END AS client,
       a.state, a.wait_event_type, a.wait_event, a.xact_start, a.query_start, a.state_change,
       -- As bytes: a query of a SQL_ASCII database may be no text of ours, and every function on characters would fail for all.
       CASE WHEN octet_length(a.query) > 4096
            THEN substr(textsend(a.query), 1, 3584) || '\x20e280a620' || substr(textsend(a.query), octet_length(a.query) - 511)
            ELSE textsend(a.query) END AS query,
       a.query_id, t.schemas, t.relations,
       w.pid IS NOT NULL AS waits, w.mode, w.waitstart, w.target, w.schema AS target_schema, w.relation AS target_relation,
       CASE WHEN w.place <= 64 THEN pg_blocking_pids(a.pid) END AS blocked_by,
       a.usesysid = (SELECT oid FROM pg_roles WHERE rolname = session_user) AND a.application_name = $1 AS own,
       (SELECT pg_has_role(session_user, 'pg_read_all_stats', 'USAGE')) AS sees_all, -- may change while we are connected
       statement_timestamp() AS asked, clock_timestamp() AS now
FROM pg_stat_get_activity(NULL) a
LEFT JOIN touched t USING (pid)
LEFT JOIN waiting w USING (pid)
WHERE a.backend_type IN ('client backend', 'parallel worker')
   OR a.backend_type IS NULL AND a.usesysid IS NOT NULL -- not shown to a login without pg_read_all_stats
