-- A login whose limits are to be proven: what is stored with it, what of that another login of ours may be given as well, what it
-- may do beside its rights, and what we may do with it.
-- Cost: under 1 ms. Privilege: none.
-- $1: the login.
SELECT r.rolcanlogin AS can_login, r.rolsuper AS superuser, r.rolconnlimit AS connection_limit,
       (SELECT count(*) FROM pg_stat_activity a WHERE a.usesysid = r.oid) AS sessions,
       array_remove(ARRAY[CASE WHEN r.rolcreatedb THEN 'CREATEDB' END, CASE WHEN r.rolcreaterole THEN 'CREATEROLE' END,
                          CASE WHEN r.rolreplication THEN 'REPLICATION' END, CASE WHEN r.rolbypassrls THEN 'BYPASSRLS' END], NULL) AS attributes,
       -- In the order in which the server takes them: of the login here, of the login, of this database, of all.
       (SELECT coalesce(json_agg(json_build_object('name', s.name, 'value', s.value, 'own', s.own, 'plain', s.plain) ORDER BY s.name), '[]')
        FROM (SELECT DISTINCT ON (split_part(c, '=', 1)) split_part(c, '=', 1) AS name, substr(c, strpos(c, '=') + 1) AS value,
                     d.setrole <> 0 AS own,
                     -- What anybody may set, and what is not a list of names.
                     split_part(c, '=', 1) = 'role' OR EXISTS (
                         SELECT FROM pg_settings g WHERE g.name = split_part(c, '=', 1) AND g.context = 'user'
                         AND g.name NOT IN ('search_path', 'temp_tablespaces', 'local_preload_libraries')) AS plain
              FROM pg_db_role_setting d, unnest(d.setconfig) c
              WHERE d.setrole IN (r.oid, 0)
                AND d.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
              ORDER BY 1, (d.setrole <> 0) DESC, (d.setdatabase <> 0) DESC) s)::text AS settings,
       me.rolcreaterole AS may_create_roles, pg_has_role('pg_signal_backend', 'USAGE') AS may_signal,
       -- From 16 on CREATEROLE alone does not do.
       CASE WHEN current_setting('server_version_num')::int >= 160000
            THEN pg_has_role(r.oid, 'USAGE WITH ADMIN OPTION') ELSE me.rolcreaterole END AS may_grant,
       current_setting('server_version_num')::int AS version,
       (SELECT coalesce(array_agg(o.rolname::text ORDER BY o.rolname), '{}') FROM pg_roles o
        WHERE o.rolname LIKE 'tierdeck\_prove\_%') AS others
FROM pg_roles r CROSS JOIN (SELECT rolcreaterole FROM pg_roles WHERE rolname = session_user) me
WHERE r.rolname = $1
