-- Rights that are the server's and no database's: memberships in roles, and what others than their owner (PUBLIC too) may do with
-- databases. Bounded as in catalog_grants.sql. From 16 on a membership says by itself whether it inherits and lets one SET ROLE.
-- Cost: 10 ms with 1,500 roles. Privilege: none.
WITH given AS (
    SELECT 'membership' AS kind, '' AS database, r.rolname AS object, m.roleid AS home, m.roleid AS owner, m.member AS grantee,
           array_remove(ARRAY[
               CASE WHEN bool_or(m.admin_option) THEN 'ADMIN' END,
               CASE WHEN bool_or(coalesce((to_jsonb(m) ->> 'inherit_option')::bool, g.rolinherit)) THEN 'INHERIT' END,
               CASE WHEN bool_or(coalesce((to_jsonb(m) ->> 'set_option')::bool, true)) THEN 'SET' END
           ], NULL) AS privileges
    FROM pg_auth_members m
    JOIN pg_roles r ON r.oid = m.roleid
    JOIN pg_roles g ON g.oid = m.member
    WHERE r.rolname !~ '^(pg|rds)_'
    GROUP BY r.rolname, m.roleid, m.member
    UNION ALL
    SELECT 'database', d.datname, d.datname, d.oid, d.datdba, e.grantee,
           array_agg(DISTINCT e.privilege_type ORDER BY e.privilege_type)
    FROM pg_database d, aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) e
    WHERE d.datallowconn AND NOT d.datistemplate AND d.datname <> 'rdsadmin' AND e.grantee <> d.datdba
    GROUP BY d.datname, d.oid, d.datdba, e.grantee
), placed AS (
    SELECT *, count(*) OVER kind_of_grantee AS alike,
           row_number() OVER (kind_of_grantee ORDER BY home) AS place,
           count(*) OVER kind_of_home AS grantees,
           row_number() OVER (kind_of_home ORDER BY grantee) AS place_at_home
    FROM given
    WINDOW kind_of_grantee AS (PARTITION BY kind, grantee, privileges), kind_of_home AS (PARTITION BY kind, home)
)
SELECT p.database::text, p.kind, '' AS schema, p.object::text,
       CASE WHEN p.alike > 20 AND p.place = 1 THEN p.alike ELSE 1 END::int4 AS objects,
       pg_get_userbyid(p.owner)::text AS owner,
       CASE WHEN p.grantee <> 0 THEN pg_get_userbyid(p.grantee)::text END AS grantee, p.privileges
FROM placed p
WHERE p.place <= 20 AND p.place_at_home <= 20
ORDER BY p.grantee <> 0, least(p.alike, p.grantees), p.alike, p.kind, p.home, p.grantee
LIMIT $1
