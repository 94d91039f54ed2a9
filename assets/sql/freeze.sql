-- The tables with the oldest unfrozen transaction ids.
-- Cost: 5 ms with 6,000 tables. Privilege: none.
SELECT current_database()::text AS database, n.nspname::text AS schema, c.relname::text AS "table", c.xid_age,
       c.multixact_age
FROM (
    SELECT coalesce(p.relnamespace, c.relnamespace) AS relnamespace, coalesce(p.relname, c.relname) AS relname,
           age(c.relfrozenxid) AS xid_age, mxid_age(c.relminmxid) AS multixact_age
    FROM (SELECT oid, relname, relnamespace, relfrozenxid, relminmxid FROM pg_class
          WHERE relkind IN ('r', 'm', 't') AND relfrozenxid <> '0'
          ORDER BY age(relfrozenxid) DESC LIMIT 50) c
    LEFT JOIN pg_class p ON p.reltoastrelid = c.oid
) c
JOIN pg_namespace n ON n.oid = c.relnamespace
ORDER BY c.xid_age DESC
