-- The whole statement of one session as far as the server keeps it, and how many bytes that are at most.
-- Cost: below 1 ms. Privilege: pg_read_all_stats (in pg_monitor) for other people's statements.
-- $1, $2: pid and start of the session. One row in any case; no statement when the session is gone.
SELECT (SELECT textsend(a.query) FROM pg_stat_get_activity($1) a WHERE a.backend_start = $2) AS query,
       (SELECT setting::int4 FROM pg_settings WHERE name = 'track_activity_query_size') AS most,
       current_setting('server_version_num')::int4 AS version
