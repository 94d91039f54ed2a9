-- One number over who may do what in a schema: the fence's transaction begins with comparing it to the plan's.
-- Cost: some ms for a schema of 20 tables. Privilege: none.
-- $1: the schema, as it is written for regnamespace; $2: logins.
SELECT md5(concat_ws('|',
  (SELECT format('%s %s', nspowner, nspacl) FROM pg_namespace WHERE oid = $1::text::regnamespace),
  (SELECT string_agg(format('%s %s %s %s', relname, relkind, relowner, relacl), '|' ORDER BY relname COLLATE "C")
   FROM pg_class WHERE relnamespace = $1::text::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'f', 'S')),
  (SELECT string_agg(format('%s %s %s', relname, attname, attacl), '|' ORDER BY relname COLLATE "C", attname COLLATE "C")
   FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
   WHERE relnamespace = $1::text::regnamespace AND attacl IS NOT NULL AND NOT attisdropped AND relkind IN ('r', 'p', 'v', 'm', 'f')),
  (SELECT string_agg(format('%s %s %s', defaclrole, defaclobjtype, defaclacl), '|' ORDER BY defaclrole, defaclobjtype)
   FROM pg_default_acl WHERE defaclnamespace = $1::text::regnamespace),
  (SELECT string_agg(format('%s %s', rolname, rolcanlogin), '|' ORDER BY rolname COLLATE "C") FROM pg_roles WHERE rolname = ANY ($2::text[]))))
