-- Whether the counters of statements can be trusted, and the WAL of the whole server to hold them against.
-- Cost: under 1 ms. Privilege: none. {schema}: where the extension is.
SELECT i.dealloc, i.stats_reset AS since, w.wal_bytes::int8 AS wal_bytes, w.stats_reset AS wal_since,
       clock_timestamp() AS now
FROM {schema}.pg_stat_statements_info i, pg_stat_get_wal() w
