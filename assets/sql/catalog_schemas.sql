-- Schemas with their owners, comments and how many tables are in them, also empty ones.
-- Cost: 8 ms with 1,500 schemas and 6,000 tables. Privilege: none.
SELECT current_database()::text AS database, n.nspname::text AS name, pg_get_userbyid(n.nspowner)::text AS owner,
       coalesce(t.tables, 0)::int4 AS tables, d.description AS comment
FROM pg_namespace n
LEFT JOIN (
    SELECT relnamespace, count(*) AS tables FROM pg_class WHERE relkind IN ('r', 'p') GROUP BY relnamespace
) t ON t.relnamespace = n.oid
LEFT JOIN pg_description d ON d.objoid = n.oid AND d.classoid = 'pg_namespace'::regclass AND d.objsubid = 0
WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
