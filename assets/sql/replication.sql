-- Whether the server is a standby and how far behind, and how much WAL slots may keep at the most (-1: no bound).
-- Cost: under 1 ms. Privilege: none; whether WAL is being received says only pg_read_all_stats (in pg_monitor).
SELECT pg_is_in_recovery() AS in_recovery,
       pg_size_bytes(current_setting('max_slot_wal_keep_size')) AS slot_limit,
       extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp())::float8 AS replay_age,
       pg_wal_lsn_diff(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())::int8 AS behind,
       CASE WHEN EXISTS (SELECT FROM pg_stat_wal_receiver)
            THEN (SELECT status = 'streaming' FROM pg_stat_wal_receiver)
            ELSE false END AS receiving
