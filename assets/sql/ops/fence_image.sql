-- Who may do what in one schema, and who may log in as its own: what a fence changes, and what it brings back.
-- Cost: some ms for a schema of 20 tables. Privilege: none.
-- $1: the schema; $2: logins.
SELECT what, name, part, kind, owner, explicit, coalesce((
         SELECT json_agg(json_build_object('to', e.grantee, 'by', e.grantor, 'may', e.may) ORDER BY i.place)
         FROM unnest(acl) WITH ORDINALITY AS i(item, place), LATERAL (
           SELECT CASE WHEN x.grantee <> 0 THEN pg_get_userbyid(x.grantee) END AS grantee,
                  pg_get_userbyid(x.grantor) AS grantor, json_object_agg(x.privilege_type, x.is_grantable) AS may
           FROM aclexplode(ARRAY[i.item]) x GROUP BY x.grantee, x.grantor) e)::text, '[]') AS items
FROM (
  SELECT 'schema' AS what, nspname::text AS name, '' AS part, '' AS kind, pg_get_userbyid(nspowner)::text AS owner,
         nspacl IS NOT NULL AS explicit, coalesce(nspacl, acldefault('n', nspowner)) AS acl
  FROM pg_namespace WHERE nspname = $1
  UNION ALL
  SELECT 'relation', relname::text, '', relkind::text, pg_get_userbyid(relowner)::text, relacl IS NOT NULL,
         coalesce(relacl, acldefault(CASE relkind WHEN 'S' THEN 's'::"char" ELSE 'r'::"char" END, relowner))
  FROM pg_class WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1) AND relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
  UNION ALL
  SELECT 'column', c.relname::text, a.attname::text, '', '', true, a.attacl
  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
  WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1) AND a.attacl IS NOT NULL AND NOT a.attisdropped
    AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
  UNION ALL
  SELECT 'default', pg_get_userbyid(d.defaclrole)::text, d.defaclobjtype::text, '', '', true, d.defaclacl
  FROM pg_default_acl d WHERE d.defaclnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1)
  UNION ALL
  SELECT 'login', rolname::text, '', '', '', rolcanlogin, '{}'::aclitem[]
  FROM pg_roles WHERE rolname = ANY ($2::text[])
) it
ORDER BY what, name COLLATE "C", part COLLATE "C"
