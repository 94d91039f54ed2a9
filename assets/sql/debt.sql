-- The tables with the most dead rows beside the number at which autovacuum acts on each: the table's own settings first,
-- capped by autovacuum_vacuum_max_threshold from 18 on.
-- Cost: 12 ms with 6,000 tables; settings are read only for tables with at least $1 dead rows. Privilege: none.
SELECT current_database()::text AS database, n.nspname::text AS schema, c.relname::text AS "table",
       c.dead, greatest(c.reltuples, 0)::int8 AS live,
       least(
           coalesce(o.threshold, current_setting('autovacuum_vacuum_threshold')::float8)
               + coalesce(o.scale, current_setting('autovacuum_vacuum_scale_factor')::float8) * greatest(c.reltuples, 0),
           nullif(coalesce(o.most, current_setting('autovacuum_vacuum_max_threshold', true)::float8, -1), -1)
       )::float8 AS threshold,
       coalesce(o.enabled, true) AND current_setting('autovacuum')::bool AS autovacuum,
       greatest(pg_stat_get_last_vacuum_time(c.oid), pg_stat_get_last_autovacuum_time(c.oid)) AS last_vacuum,
       (c.relpages + coalesce((SELECT t.relpages FROM pg_class t WHERE t.oid = c.reltoastrelid), 0)
           + coalesce((SELECT sum(i.relpages) FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid
                       WHERE x.indrelid = c.oid), 0))::int8 * current_setting('block_size')::int8 AS bytes
FROM (
    SELECT oid, relname, relnamespace, reltuples, relpages, reltoastrelid, reloptions,
           pg_stat_get_dead_tuples(oid) AS dead
    FROM pg_class
    WHERE relkind IN ('r', 'm') AND relpersistence <> 't' AND oid >= 16384
    OFFSET 0
) c
JOIN pg_namespace n ON n.oid = c.relnamespace
CROSS JOIN LATERAL (
    SELECT max(option_value) FILTER (WHERE option_name = 'autovacuum_vacuum_threshold')::float8 AS threshold,
           max(option_value) FILTER (WHERE option_name = 'autovacuum_vacuum_scale_factor')::float8 AS scale,
           max(option_value) FILTER (WHERE option_name = 'autovacuum_vacuum_max_threshold')::float8 AS most,
           bool_and(option_value::bool) FILTER (WHERE option_name = 'autovacuum_enabled') AS enabled
    FROM pg_options_to_table(c.reloptions)
) o
WHERE c.dead >= $1
ORDER BY c.dead / greatest(1, least(
             coalesce(o.threshold, current_setting('autovacuum_vacuum_threshold')::float8)
                 + coalesce(o.scale, current_setting('autovacuum_vacuum_scale_factor')::float8) * greatest(c.reltuples, 0),
             nullif(coalesce(o.most, current_setting('autovacuum_vacuum_max_threshold', true)::float8, -1), -1))) DESC
LIMIT 200
