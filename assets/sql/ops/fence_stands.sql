-- The holes of a fence: what came into the schema, what may still be written, who may log in.
-- Cost: some ms for a schema of 20 tables. Privilege: none.
-- $1: the schema; $2: what the fence stands around; $3: who could write; $4: the tenant's own logins.
WITH rel AS (SELECT c.oid, c.relname::text AS name, c.relkind, c.relacl FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
             WHERE n.nspname = $1 AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S'))
SELECT name || ' came while it was raised: roll back, and begin anew' AS hole FROM rel WHERE name <> ALL ($2::text[])
UNION ALL
SELECT name || ' is gone' FROM unnest($2::text[]) name WHERE name NOT IN (SELECT rel.name FROM rel)
UNION ALL
SELECT rel.name || ': ' || coalesce(nullif(pg_get_userbyid(x.grantee), 'unknown (OID=0)'), 'PUBLIC') || ' has ' || x.privilege_type
FROM rel, aclexplode(rel.relacl) x WHERE x.privilege_type <> 'SELECT'
UNION ALL
SELECT rel.name || '.' || a.attname || ': ' || coalesce(nullif(pg_get_userbyid(x.grantee), 'unknown (OID=0)'), 'PUBLIC') || ' has ' || x.privilege_type
FROM rel JOIN pg_attribute a ON a.attrelid = rel.oid, aclexplode(a.attacl) x WHERE x.privilege_type <> 'SELECT'
UNION ALL
SELECT 'the schema: ' || coalesce(nullif(pg_get_userbyid(x.grantee), 'unknown (OID=0)'), 'PUBLIC') || ' may create'
FROM pg_namespace n, aclexplode(n.nspacl) x WHERE n.nspname = $1 AND x.privilege_type = 'CREATE'
UNION ALL
SELECT r.rolname || ' may write ' || rel.name FROM pg_roles r, rel
WHERE r.rolname = ANY ($3::text[]) AND r.rolname <> ALL ($4::text[]) AND r.rolname <> session_user
  AND NOT r.rolsuper AND NOT pg_has_role(r.oid, 'pg_write_all_data', 'USAGE')
  AND CASE WHEN rel.relkind = 'S' THEN has_sequence_privilege(r.oid, rel.oid, 'USAGE, UPDATE')
      ELSE has_any_column_privilege(r.oid, rel.oid, 'INSERT, UPDATE') OR has_table_privilege(r.oid, rel.oid, 'DELETE, TRUNCATE') END
UNION ALL
SELECT r.rolname || ' may log in' FROM pg_roles r WHERE r.rolname = ANY ($4::text[]) AND r.rolcanlogin
