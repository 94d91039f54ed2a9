-- The tables with the oldest unfrozen transaction ids, and those with the oldest multixacts. A TOAST table goes under its
-- owner's name.
-- Cost: 12 ms with 6,000 tables. Privilege: none.
SELECT current_database()::text AS database, n.nspname::text AS schema, coalesce(p.relname, c.relname)::text AS "table",
       age(c.relfrozenxid) AS xid_age, mxid_age(c.relminmxid) AS multixact_age
FROM (
    (SELECT oid FROM pg_class WHERE relkind IN ('r', 'm', 't') AND relfrozenxid <> '0'
     ORDER BY age(relfrozenxid) DESC LIMIT 50)
    UNION
    (SELECT oid FROM pg_class WHERE relkind IN ('r', 'm', 't') AND relminmxid <> '0'
     ORDER BY mxid_age(relminmxid) DESC LIMIT 50)
) oldest
JOIN pg_class c ON c.oid = oldest.oid
-- Only of what is a TOAST table: anybody may call a table pg_toast_9999999999, which is no oid.
LEFT JOIN pg_class p ON p.oid = CASE WHEN c.relkind = 't' THEN substring(c.relname from '^pg_toast_(\d{1,10})$')::oid END
JOIN pg_namespace n ON n.oid = coalesce(p.relnamespace, c.relnamespace)
ORDER BY xid_age DESC, multixact_age DESC
