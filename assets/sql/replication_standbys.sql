-- Standbys and subscribers that are connected, the farthest behind first.
-- Cost: under 1 ms for each 100. Privilege: pg_read_all_stats (in pg_monitor): without it `state` is null.
SELECT r.pid, r.application_name AS application, r.usename::text AS role, host(r.client_addr) AS client, r.state, r.sync_state,
       pg_wal_lsn_diff(w.here, r.replay_lsn)::int8 AS lag_bytes, extract(epoch FROM r.replay_lag)::float8 AS lag_seconds,
       age(r.backend_xmin) AS xmin_age
FROM pg_stat_replication r,
     LATERAL (SELECT CASE WHEN pg_is_in_recovery()
                          THEN coalesce(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())
                          ELSE pg_current_wal_lsn() END AS here OFFSET 0) w
ORDER BY lag_bytes DESC NULLS LAST
LIMIT 200
