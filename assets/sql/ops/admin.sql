-- What the login that acts may do, and which roles it is no member of.
-- Cost: a look at every role. Privilege: none.
SELECT me.rolsuper AS superuser, me.rolcreaterole AS creates_roles,
       has_database_privilege(current_database(), 'CREATE') AS creates_schemas,
       pg_has_role('pg_read_all_stats', 'USAGE') AS sees, pg_has_role('pg_signal_backend', 'USAGE') AS signals,
       current_database()::text AS database, current_setting('server_version_num')::int >= 160000 AS modern,
       (SELECT coalesce(array_agg(r.rolname::text ORDER BY r.rolname), '{}') FROM pg_roles r
        WHERE NOT pg_has_role(r.oid, 'USAGE')) AS not_ours
FROM pg_roles me WHERE me.rolname = session_user
