-- Counters and transaction-id age of every database: also a template that nobody may enter can stop all writes.
-- Cost: under 1 ms with a few databases. Privilege: none.
SELECT d.datname::text AS name,
       pg_stat_get_db_numbackends(d.oid) AS backends,
       pg_stat_get_db_xact_commit(d.oid) + pg_stat_get_db_xact_rollback(d.oid) AS transactions,
       pg_stat_get_db_blocks_fetched(d.oid) - pg_stat_get_db_blocks_hit(d.oid) AS blocks_read,
       pg_stat_get_db_blocks_hit(d.oid) AS blocks_hit,
       pg_stat_get_db_tuples_inserted(d.oid) + pg_stat_get_db_tuples_updated(d.oid)
           + pg_stat_get_db_tuples_deleted(d.oid) AS rows_written,
       pg_stat_get_db_temp_bytes(d.oid) AS temp_bytes,
       pg_stat_get_db_deadlocks(d.oid) AS deadlocks,
       pg_stat_get_db_stat_reset_time(d.oid) AS stats_reset,
       -- The oldest of what starts anew with a crash, and can be reset by hand each for itself.
       least(pg_stat_get_bgwriter_stat_reset_time(), (SELECT stats_reset FROM pg_stat_get_wal()),
             (SELECT stats_reset FROM pg_stat_get_archiver())) AS counting_since,
       age(d.datfrozenxid) AS xid_age,
       mxid_age(d.datminmxid) AS multixact_age,
       d.datallowconn AND NOT d.datistemplate AND d.datname <> 'rdsadmin' AS in_use,
       clock_timestamp() AS now
FROM pg_database d
