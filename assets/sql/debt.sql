-- The tables with the most dead rows beside the number at which autovacuum acts on each: the table's own settings first,
-- capped by autovacuum_vacuum_max_threshold from 18 on. A TOAST table counts for its owner, the worse of the two.
-- Cost: 10 ms with 6,000 tables; settings are read only for tables with at least $1 dead rows. Privilege: none.
SELECT current_database()::text AS database, n.nspname::text AS schema, m.relname::text AS "table",
       w.dead, w.live, w.threshold, w.autovacuum, w.off_by_itself, w.last_vacuum,
       (m.relpages + coalesce((SELECT t.relpages FROM pg_class t WHERE t.oid = m.reltoastrelid), 0)
           + coalesce((SELECT sum(i.relpages) FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid
                       WHERE x.indrelid = m.oid), 0))::int8 * current_setting('block_size')::int8 AS bytes
FROM (
    SELECT oid, relname, relnamespace, relpages, reltuples, reloptions, reltoastrelid,
           pg_stat_get_dead_tuples(oid) AS dead,
           CASE WHEN reltoastrelid <> 0 THEN pg_stat_get_dead_tuples(reltoastrelid) ELSE 0 END AS toast_dead
    FROM pg_class
    WHERE relkind IN ('r', 'm') AND relpersistence <> 't' AND oid >= 16384
    OFFSET 0
) m
JOIN pg_namespace n ON n.oid = m.relnamespace
CROSS JOIN LATERAL (
    SELECT c.dead, c.live,
           coalesce(o.enabled, true) AND current_setting('autovacuum')::bool AS autovacuum,
           NOT coalesce(o.enabled, true) AS off_by_itself,
           greatest(pg_stat_get_last_vacuum_time(c.oid), pg_stat_get_last_autovacuum_time(c.oid)) AS last_vacuum,
           least(
               coalesce(o.threshold, current_setting('autovacuum_vacuum_threshold')::float8)
                   + coalesce(o.scale, current_setting('autovacuum_vacuum_scale_factor')::float8) * c.live,
               nullif(coalesce(o.most, current_setting('autovacuum_vacuum_max_threshold', true)::float8, -1), -1)
           )::float8 AS threshold
    FROM (
        SELECT m.oid, m.dead, greatest(m.reltuples, 0)::int8 AS live, m.reloptions
        UNION ALL
        SELECT t.oid, m.toast_dead, greatest(t.reltuples, 0)::int8, t.reloptions
        FROM pg_class t
        WHERE t.oid = m.reltoastrelid AND m.toast_dead >= $1
    ) c
    CROSS JOIN LATERAL (
        SELECT max(option_value) FILTER (WHERE option_name = 'autovacuum_vacuum_threshold')::float8 AS threshold,
               max(option_value) FILTER (WHERE option_name = 'autovacuum_vacuum_scale_factor')::float8 AS scale,
               max(option_value) FILTER (WHERE option_name = 'autovacuum_vacuum_max_threshold')::float8 AS most,
               bool_and(option_value::bool) FILTER (WHERE option_name = 'autovacuum_enabled') AS enabled
        FROM pg_options_to_table(c.reloptions)
    ) o
    ORDER BY c.dead / greatest(1, least(
        coalesce(o.threshold, current_setting('autovacuum_vacuum_threshold')::float8)
            + coalesce(o.scale, current_setting('autovacuum_vacuum_scale_factor')::float8) * c.live,
        nullif(coalesce(o.most, current_setting('autovacuum_vacuum_max_threshold', true)::float8, -1), -1))) DESC
    LIMIT 1
) w
WHERE greatest(m.dead, m.toast_dead) >= $1
ORDER BY w.dead / greatest(1, w.threshold) DESC
LIMIT 200
