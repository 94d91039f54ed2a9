-- What is there of a tenant on an instance with a schema for each tenant, and what our login may do about it.
-- Cost: under 1 ms. Privilege: none.
-- Comes after may_alter.sql, which it begins with.
-- $1: its role, $2: its schema, $3: the service account.
SELECT r.oid IS NOT NULL AS role_there, coalesce(shobj_description(r.oid, 'pg_authid'), '') AS role_mark,
       coalesce(r.rolcanlogin, false) AS can_login, coalesce(r.rolsuper, false) AS superuser,
       coalesce(r.rolconnlimit, -1) AS connection_limit, coalesce(d.setconfig, '{}') AS settings,
       coalesce(pg_has_role(session_user, r.oid, 'USAGE'), false) AS member,
       EXISTS (SELECT FROM alterable a WHERE a.oid = r.oid) AS may_alter,
       (SELECT count(*) FROM pg_stat_activity a WHERE a.usesysid = r.oid) AS sessions,
       n.oid IS NOT NULL AS schema_there, coalesce(obj_description(n.oid, 'pg_namespace'), '') AS schema_mark,
       coalesce(pg_get_userbyid(n.nspowner)::text, '') AS owner,
       -- What DROP SCHEMA … RESTRICT would stop at, of whatever kind.
       (SELECT count(*) FROM pg_depend x WHERE x.refclassid = 'pg_namespace'::regclass AND x.refobjid = n.oid AND x.deptype = 'n') AS objects,
       -- What DROP ROLE would stop at, but for what goes with its schema.
       (SELECT count(*) FROM pg_shdepend x
        WHERE x.refclassid = 'pg_authid'::regclass AND x.refobjid = r.oid
          AND (x.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
                   AND (x.classid = 'pg_namespace'::regclass AND x.objid = n.oid
                        OR x.classid = 'pg_default_acl'::regclass
                           AND x.objid IN (SELECT oid FROM pg_default_acl WHERE defaclnamespace = n.oid)
                        OR (x.classid, x.objid) IN (SELECT y.classid, y.objid FROM pg_depend y
                                                    WHERE y.refclassid = 'pg_namespace'::regclass AND y.refobjid = n.oid))) IS NOT TRUE) AS elsewhere,
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
