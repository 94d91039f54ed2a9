-- What the server is: asked once a connection.
-- Cost: under 1 ms. Privilege: pg_read_all_stats (in pg_monitor) to see a crash.
SELECT split_part(current_setting('server_version'), ' ', 1) AS version,
       current_setting('server_version_num')::int4 AS version_num,
       -- After a crash the same postmaster starts everything below it anew: the checkpointer tells.
       greatest(pg_postmaster_start_time(),
                (SELECT max(backend_start) FROM pg_stat_get_activity(NULL) WHERE backend_type = 'checkpointer')) AS started_at,
       current_setting('max_connections')::int4 AS max_connections,
       current_setting('superuser_reserved_connections')::int4
           + coalesce(current_setting('reserved_connections', true), '0')::int4
           + coalesce(current_setting('rds.rds_superuser_reserved_connections', true), '0')::int4 AS reserved_connections,
       current_setting('max_worker_processes')::int4 AS max_worker_processes,
       current_setting('track_counts')::bool AS counts,
       current_database()::text AS database,
       session_user::text AS login,
       pg_is_in_recovery() AS in_recovery,
       pg_has_role(session_user, 'pg_read_all_stats', 'USAGE') AS sees_all
