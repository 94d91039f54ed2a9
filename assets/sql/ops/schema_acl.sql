-- Who may do what with a schema beside its owner, in the order in which it is stored: granted again in this order, the list
-- is the same.
-- Cost: under 1 ms. Privilege: none.
-- $1: the schema.
SELECT coalesce(pg_get_userbyid(e.grantee)::text, '') AS grantee, e.grantee = 0 AS everybody,
       e.grantor = n.nspowner AS by_owner, string_agg(e.privilege_type, ', ' ORDER BY e.privilege_type DESC) AS privileges,
       bool_or(e.is_grantable) AS grantable
FROM pg_namespace n, unnest(n.nspacl) WITH ORDINALITY AS i(item, place), aclexplode(ARRAY[i.item]) AS e
WHERE n.nspname = $1 AND e.grantee <> n.nspowner
GROUP BY i.place, e.grantee, e.grantor, n.nspowner
ORDER BY i.place
