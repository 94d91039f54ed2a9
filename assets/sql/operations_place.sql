-- Whether a schema of ours is here ($1: the login that wants to read it), whether it is as this version makes it, and whether
-- that login may read what every console is told.
-- Cost: under 1 ms. Privilege: none.
SELECT coalesce(obj_description(n.oid, 'pg_namespace'), '') AS mark,
       (SELECT count(*) = 4 FROM pg_attribute a
        WHERE a.attrelid = c.oid AND a.attname IN ('subjects', 'refused_since', 'refused_budget', 'in_force')) AS renewed,
       pg_get_userbyid(n.nspowner)::text AS owner,
       r.oid IS NOT NULL AS known,
       coalesce(has_schema_privilege(r.oid, n.oid, 'USAGE')
                AND (SELECT bool_and(has_column_privilege(r.oid, c.oid, a.attnum, 'SELECT')) FROM pg_attribute a
                     WHERE a.attrelid = c.oid AND a.attname = ANY ($2::text[])), false) AS granted
FROM pg_namespace n
LEFT JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = 'operation'
LEFT JOIN pg_roles r ON r.rolname = $1
WHERE n.nspname = 'tierdeck'
