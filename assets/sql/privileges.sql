-- What our login may see, and what the server counts at all: for `tierdeck doctor`.
-- Cost: under 1 ms. Privilege: none.
SELECT session_user::text AS login,
       (SELECT rolsuper FROM pg_roles WHERE rolname = session_user) AS superuser,
       pg_has_role(session_user, 'pg_read_all_stats', 'USAGE') AS reads_all_stats,
       pg_has_role(session_user, 'pg_read_all_settings', 'USAGE') AS reads_all_settings,
       pg_has_role(session_user, 'pg_read_all_data', 'USAGE') AS reads_all_data,
       current_setting('track_activities')::bool AS track_activities,
       current_setting('track_counts')::bool AS track_counts,
       current_setting('default_transaction_read_only')::bool AS read_only,
       ARRAY(
           SELECT datname::text FROM pg_database
           WHERE datallowconn AND NOT datistemplate AND datname <> 'rdsadmin'
             AND NOT has_database_privilege(oid, 'CONNECT')
           ORDER BY datname
       ) AS closed_databases
