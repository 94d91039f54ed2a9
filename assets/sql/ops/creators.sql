-- Roles that are to make tables in a schema: whether each is there, and whether our login may set what it hands on.
-- Cost: under 1 ms. Privilege: none.
-- $1: their names.
SELECT wanted.name, r.oid IS NOT NULL AS there, coalesce(pg_has_role(r.oid, 'USAGE'), false) AS ours
FROM unnest($1::text[]) WITH ORDINALITY AS wanted (name, place) LEFT JOIN pg_roles r ON r.rolname = wanted.name
ORDER BY wanted.place
