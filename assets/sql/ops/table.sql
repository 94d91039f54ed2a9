-- A table that is to be vacuumed: whether we may, what there is to do, and how often it was done.
-- Cost: under 1 ms. Privilege: none.
-- $1: schema, $2: name.
SELECT c.relkind::text AS kind, pg_get_userbyid(c.relowner)::text AS owner,
       CASE WHEN current_setting('server_version_num')::int >= 170000
            THEN has_table_privilege(c.oid, CASE WHEN current_setting('server_version_num')::int >= 170000 THEN 'MAINTAIN' ELSE 'SELECT' END) ELSE pg_has_role(c.relowner, 'USAGE') END
       -- Who owns the database may vacuum everything in it.
       OR NOT c.relisshared AND pg_has_role((SELECT datdba FROM pg_database WHERE datname = current_database()), 'USAGE') AS may,
       c.relpages::int8 * current_setting('block_size')::int8 AS bytes,
       pg_stat_get_dead_tuples(c.oid) AS dead,
       coalesce(pg_stat_get_vacuum_count(c.oid), 0) AS vacuums
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = $1 AND c.relname = $2
