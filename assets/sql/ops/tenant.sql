-- What is there of a tenant on an instance with a schema for each tenant, and what our login may do about it.
-- Cost: under 1 ms. Privilege: none.
-- $1: its role, $2: its schema, $3: the service account.
SELECT r.oid IS NOT NULL AS role_there, coalesce(shobj_description(r.oid, 'pg_authid'), '') AS role_mark,
       coalesce(r.rolcanlogin, false) AS can_login, coalesce(r.rolsuper, false) AS superuser,
       coalesce(r.rolconnlimit, -1) AS connection_limit, coalesce(d.setconfig, '{}') AS settings,
       coalesce(pg_has_role(session_user, r.oid, 'USAGE'), false) AS member,
       -- From 16 on CREATEROLE alone does not do.
       CASE WHEN current_setting('server_version_num')::int >= 160000
            THEN coalesce(pg_has_role(r.oid, 'USAGE WITH ADMIN OPTION'), false)
            ELSE me.rolcreaterole END AS may_alter,
       (SELECT count(*) FROM pg_stat_activity a WHERE a.usesysid = r.oid) AS sessions,
       n.oid IS NOT NULL AS schema_there, coalesce(obj_description(n.oid, 'pg_namespace'), '') AS schema_mark,
       coalesce(pg_get_userbyid(n.nspowner)::text, '') AS owner,
       (SELECT count(*) FROM pg_class c WHERE c.relnamespace = n.oid)
       + (SELECT count(*) FROM pg_proc p WHERE p.pronamespace = n.oid)
       + (SELECT count(*) FROM pg_type t WHERE t.typnamespace = n.oid AND t.typrelid = 0 AND t.typelem = 0) AS objects,
       s.oid IS NOT NULL AS service_there,
       -- CASE: the functions do not take null for a role that is not there.
       CASE WHEN s.oid IS NULL OR n.oid IS NULL THEN false ELSE has_schema_privilege(s.oid, n.oid, 'USAGE') END AS service_usage,
       (SELECT coalesce(array_agg(DISTINCT pg_get_userbyid(a.defaclrole)::text), '{}') FROM pg_default_acl a
        WHERE a.defaclnamespace = n.oid) AS creators,
       me.rolcreaterole AS may_create_roles, me.rolsuper AS we_are_superuser,
       has_database_privilege(current_database(), 'CREATE') AS may_create_schemas,
       current_setting('server_version_num')::int AS version
FROM pg_roles me LEFT JOIN pg_roles r ON r.rolname = $1 LEFT JOIN pg_namespace n ON n.nspname = $2
LEFT JOIN pg_roles s ON s.rolname = $3 LEFT JOIN pg_db_role_setting d ON d.setrole = r.oid AND d.setdatabase = 0
WHERE me.rolname = session_user
