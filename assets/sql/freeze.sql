-- The tables with the oldest unfrozen transaction ids, and those with the oldest multixacts.
-- Cost: 7 ms with 6,000 tables. Privilege: none.
WITH aged AS MATERIALIZED (
    SELECT oid, relname, relnamespace, age(relfrozenxid) AS xid_age, mxid_age(relminmxid) AS multixact_age
    FROM pg_class
    WHERE relkind IN ('r', 'm', 't') AND relfrozenxid <> '0'
)
SELECT current_database()::text AS database, n.nspname::text AS schema, coalesce(p.relname, c.relname)::text AS "table",
       c.xid_age, c.multixact_age
FROM (
    (SELECT * FROM aged ORDER BY xid_age DESC LIMIT 50)
    UNION
    (SELECT * FROM aged ORDER BY multixact_age DESC LIMIT 50)
) c
LEFT JOIN pg_class p ON p.reltoastrelid = c.oid
JOIN pg_namespace n ON n.oid = coalesce(p.relnamespace, c.relnamespace)
ORDER BY c.xid_age DESC, c.multixact_age DESC
