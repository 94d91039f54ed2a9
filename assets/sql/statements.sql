-- The counters of all statements of all databases, without their texts, which are in a file that would have to be read.
-- Cost with 5,000 entries: 8 to 11 ms (15 and 17, as pg_monitor); with texts 20 to 40. Grows with the entries.
-- Privilege: pg_read_all_stats (in pg_monitor); without it, other people's queryid is hidden.
-- The columns are the same from version 1.9 of the extension (PostgreSQL 14) to 1.12 (18). What functions call counts
-- with the statement that called them. {schema}: where the extension is.
SELECT s.userid, s.dbid, s.queryid, r.rolname::text AS role, d.datname::text AS database, s.calls,
       s.total_plan_time + s.total_exec_time AS milliseconds, s.rows, s.shared_blks_read AS blocks_read,
       s.shared_blks_dirtied AS blocks_dirtied, s.temp_blks_written AS temp_blocks, s.wal_bytes::int8 AS wal_bytes
FROM {schema}.pg_stat_statements(false) s
JOIN pg_roles r ON r.oid = s.userid
JOIN pg_database d ON d.oid = s.dbid
WHERE s.toplevel AND s.queryid IS NOT NULL AND r.rolname <> session_user
