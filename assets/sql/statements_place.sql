-- Where pg_stat_statements is and whether it can be read: it may live in any schema, be missing, or be older than the server.
-- Cost: under 1 ms. Privilege: none.
SELECT n.nspname::text AS schema, e.extversion AS version,
       has_schema_privilege(n.oid, 'USAGE') AS may_look,
       pg_get_userbyid(e.extowner)::text AS owner,
       current_setting('pg_stat_statements.max', true) AS most,
       current_setting('compute_query_id') AS query_ids,
       pg_has_role(session_user, 'pg_read_all_stats', 'USAGE') AS sees_all
FROM (SELECT) nothing
LEFT JOIN pg_extension e ON e.extname = 'pg_stat_statements'
LEFT JOIN pg_namespace n ON n.oid = e.extnamespace
