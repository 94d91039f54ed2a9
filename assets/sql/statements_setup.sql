-- How pg_stat_statements is set up beside what it could be: for `tierdeck doctor`.
-- Cost: under 1 ms. Privilege: none; which libraries are loaded shows only to pg_read_all_settings.
SELECT (SELECT setting FROM pg_settings WHERE name = 'shared_preload_libraries') AS libraries,
       (SELECT e.extversion FROM pg_extension e WHERE e.extname = 'pg_stat_statements') AS version,
       (SELECT n.nspname::text FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
        WHERE e.extname = 'pg_stat_statements') AS schema,
       (SELECT has_schema_privilege(e.extnamespace, 'USAGE') FROM pg_extension e
        WHERE e.extname = 'pg_stat_statements') AS may_look,
       current_setting('pg_stat_statements.max', true) AS most,
       current_setting('compute_query_id') AS query_ids
