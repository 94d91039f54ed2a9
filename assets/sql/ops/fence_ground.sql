-- What a fence around a schema stands on: who gets past it, what stops working behind it, what we may not touch.
-- Cost: some ms; a look into every function's text for the schema's name, and at the owner of every large object. Privilege: none.
-- Comes after may_alter.sql, which it begins with.
-- $1: the schema; $2: the tenant's own logins; $3: the service account.
, home AS (SELECT oid, nspowner FROM pg_namespace WHERE nspname = $1),
rel AS (SELECT c.oid, c.relname::text AS name, c.relkind, c.relowner, c.relacl FROM pg_class c JOIN home ON c.relnamespace = home.oid
        WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')),
own AS (SELECT relowner AS role FROM rel UNION SELECT nspowner FROM home),
granted AS (
  SELECT x.grantor, x.grantee FROM rel, aclexplode(rel.relacl) x
  UNION SELECT x.grantor, x.grantee FROM rel JOIN pg_attribute a ON a.attrelid = rel.oid, aclexplode(a.attacl) x
  UNION SELECT x.grantor, x.grantee FROM home JOIN pg_namespace n USING (oid), aclexplode(n.nspacl) x),
word AS (SELECT CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END AS may_set)
SELECT 'bypass' AS what, rolname::text AS name, CASE WHEN rolsuper THEN 'a superuser' ELSE 'pg_write_all_data' END AS more
FROM pg_roles WHERE rolcanlogin AND (rolsuper OR pg_has_role(oid, 'pg_write_all_data', 'USAGE'))
UNION ALL
SELECT 'member', r.rolname::text, string_agg(pg_get_userbyid(own.role), ', ')
FROM pg_roles r, own
WHERE r.rolcanlogin AND NOT r.rolsuper AND r.rolname <> session_user AND r.rolname <> ALL ($2::text[]) AND pg_has_role(r.oid, own.role, 'MEMBER')
GROUP BY 2
UNION ALL
SELECT 'owner', rel.name, pg_get_userbyid(relowner)::text FROM rel WHERE pg_get_userbyid(relowner) <> ALL ($2::text[])
UNION ALL
SELECT 'not ours', pg_get_userbyid(own.role)::text, '' FROM own, word
WHERE NOT (pg_has_role(own.role, may_set) AND pg_has_role(own.role, 'USAGE'))
UNION ALL
SELECT DISTINCT 'grantor', pg_get_userbyid(grantor)::text, '' FROM granted, word
WHERE NOT pg_has_role(grantor, may_set) AND grantor NOT IN (SELECT role FROM own)
UNION ALL
SELECT 'no lock', rel.name, '' FROM rel
WHERE relkind IN ('r', 'p') AND NOT has_table_privilege(rel.oid, CASE WHEN current_setting('server_version_num')::int >= 170000
  THEN 'UPDATE, DELETE, TRUNCATE, MAINTAIN' ELSE 'UPDATE, DELETE, TRUNCATE' END)
UNION ALL
SELECT 'login', r.rolname::text, '' FROM pg_roles r
WHERE r.rolname = ANY ($2::text[]) AND r.rolcanlogin
  AND NOT EXISTS (SELECT FROM alterable a WHERE a.oid = r.oid)
UNION ALL
SELECT 'may try', rolname::text, '' FROM pg_roles, word
WHERE oid IN (SELECT grantee FROM granted UNION SELECT role FROM own) AND pg_has_role(oid, may_set)
UNION ALL
SELECT 'prepared', gid, CASE WHEN EXISTS (
    -- What holds the lock of its own number holds its other locks.
    SELECT FROM pg_locks own JOIN pg_locks l USING (virtualtransaction)
    WHERE own.locktype = 'transactionid' AND own.transactionid = p.transaction AND own.granted AND own.mode = 'ExclusiveLock'
      AND own.pid IS NULL AND l.pid IS NULL
      AND (l.relation IN (SELECT oid FROM rel) OR l.classid = 'pg_namespace'::regclass AND l.objid = (SELECT oid FROM home)))
  THEN 'here' ELSE 'elsewhere' END
FROM pg_prepared_xacts p WHERE database = current_database()
UNION ALL
SELECT 'foreign key in', conname::text, conrelid::regclass || ' refers to ' || rel.name
FROM pg_constraint JOIN rel ON rel.oid = confrelid WHERE contype = 'f' AND conrelid NOT IN (SELECT oid FROM rel) AND conparentid = 0
UNION ALL
SELECT 'foreign key out', conname::text, rel.name || ' refers to ' || confrelid::regclass
FROM pg_constraint JOIN rel ON rel.oid = conrelid
WHERE contype = 'f' AND confrelid NOT IN (SELECT oid FROM rel) AND (confdeltype IN ('c', 'n', 'd') OR confupdtype IN ('c', 'n', 'd'))
UNION ALL
SELECT 'parent', rel.name, inhparent::regclass::text FROM pg_inherits JOIN rel ON rel.oid = inhrelid WHERE inhparent NOT IN (SELECT oid FROM rel)
UNION ALL
SELECT 'child', rel.name, inhrelid::regclass::text FROM pg_inherits JOIN rel ON rel.oid = inhparent WHERE inhrelid NOT IN (SELECT oid FROM rel)
UNION ALL
SELECT 'definer past', p.oid::regprocedure::text, pg_get_userbyid(p.proowner)::text FROM pg_proc p
WHERE p.prosecdef AND p.pronamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
  AND (p.pronamespace = (SELECT oid FROM home) OR strpos(p.prosrc, $1) > 0)
  AND ((SELECT rolsuper FROM pg_roles r WHERE r.oid = p.proowner) OR pg_has_role(p.proowner, 'pg_write_all_data', 'USAGE'))
UNION ALL
SELECT 'definer', p.oid::regprocedure::text, pg_get_userbyid(p.proowner)::text FROM pg_proc p
WHERE p.prosecdef AND p.proowner IN (SELECT role FROM own)
UNION ALL
SELECT DISTINCT 'rule', v.oid::regclass::text, rel.name
FROM pg_depend d JOIN pg_rewrite w ON w.oid = d.objid JOIN pg_class v ON v.oid = w.ev_class JOIN rel ON rel.oid = d.refobjid
WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass AND v.relnamespace <> (SELECT oid FROM home)
UNION ALL
SELECT 'extension', extname::text, '' FROM pg_extension, home WHERE extnamespace = home.oid
UNION ALL
SELECT 'event trigger', evtname::text, evtevent::text FROM pg_event_trigger WHERE evtenabled <> 'D'
UNION ALL
SELECT 'subscription', rel.name, '' FROM pg_subscription_rel JOIN rel ON rel.oid = srrelid
UNION ALL
SELECT 'foreign table', rel.name, '' FROM rel WHERE relkind = 'f'
UNION ALL
-- They lie in no schema, and whoever owns one or was granted it writes to it: by its number.
SELECT 'large object', pg_get_userbyid(lomowner)::text, count(*)::text FROM pg_largeobject_metadata
WHERE lomowner IN (SELECT role FROM own) OR pg_get_userbyid(lomowner) = ANY ($2::text[]) GROUP BY lomowner
UNION ALL
SELECT 'large column', rel.name || '.' || a.attname, '' FROM rel JOIN pg_attribute a ON a.attrelid = rel.oid
WHERE rel.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped AND format_type(a.atttypid, NULL) IN ('oid', 'lo')
  AND EXISTS (SELECT FROM pg_largeobject_metadata)
UNION ALL
SELECT 'locks', (current_setting('max_locks_per_transaction')::int8
         * (current_setting('max_connections')::int8 + current_setting('max_prepared_transactions')::int8)
         - (SELECT count(*) FROM pg_locks WHERE NOT fastpath))::text, ''
UNION ALL
SELECT 'service', rolname::text, CASE WHEN has_schema_privilege(oid, (SELECT oid FROM home), 'USAGE') THEN 'uses it' ELSE '' END
FROM pg_roles WHERE rolname = $3
ORDER BY what, name, more
