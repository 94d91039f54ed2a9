-- The tables with the most dead rows beside the number at which autovacuum acts on each: the table's own settings first,
-- capped by autovacuum_vacuum_max_threshold from 18 on. A TOAST table counts for its owner, the worse of the two.
-- The threshold is reckoned from reltuples, as autovacuum does; live rows are those that the counters know of, because
-- reltuples stands still on just the tables that nobody vacuums or analyzes. Sizes are measured, of what is told alone, and
-- never where somebody holds or awaits the lock behind which that would wait: there relpages must do, and says so.
-- Settings are read only for tables with at least $1 dead rows; $2: only those of this schema.
-- Cost: 10 ms with 6,000 tables, without the sizes of those that are told. Privilege: none.
-- Cost with 40,000 tables, 200 of them told: not measured yet.
WITH closed AS MATERIALIZED (
    SELECT relation FROM pg_locks
    WHERE mode = 'AccessExclusiveLock' AND relation IS NOT NULL
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
)
SELECT worst.database, worst.schema, worst."table", worst.dead, worst.live, worst.threshold, worst.autovacuum,
       worst.off_by_itself, worst.last_vacuum, coalesce(s.bytes, s.estimate) AS bytes, s.bytes IS NOT NULL AS measured
FROM (
    SELECT current_database()::text AS database, n.nspname::text AS schema, m.relname::text AS "table", m.oid,
           m.relpages, m.reltoastrelid, w.dead, w.live, w.threshold, w.autovacuum, w.off_by_itself, w.last_vacuum
    FROM (
        SELECT oid, relname, relnamespace, relpages, reltuples, reloptions, reltoastrelid,
               pg_stat_get_dead_tuples(oid) AS dead,
               CASE WHEN reltoastrelid <> 0 THEN pg_stat_get_dead_tuples(reltoastrelid) ELSE 0 END AS toast_dead
        FROM pg_class
        WHERE relkind IN ('r', 'm') AND relpersistence <> 't' AND oid >= 16384
          AND ($2::text IS NULL OR relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $2::text))
        OFFSET 0
    ) m
    JOIN pg_namespace n ON n.oid = m.relnamespace
    CROSS JOIN LATERAL (
        SELECT c.dead, pg_stat_get_live_tuples(c.oid) AS live,
               coalesce(o.enabled, true) AND current_setting('autovacuum')::bool AS autovacuum,
               NOT coalesce(o.enabled, true) AS off_by_itself,
               greatest(pg_stat_get_last_vacuum_time(c.oid), pg_stat_get_last_autovacuum_time(c.oid)) AS last_vacuum,
               t.threshold
        FROM (
            SELECT m.oid, m.dead, greatest(m.reltuples, 0)::float8 AS rows, m.reloptions
            UNION ALL
            SELECT t.oid, m.toast_dead, greatest(t.reltuples, 0)::float8, t.reloptions
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
        CROSS JOIN LATERAL (
            SELECT least(
                coalesce(o.threshold, current_setting('autovacuum_vacuum_threshold')::float8)
                    + coalesce(o.scale, current_setting('autovacuum_vacuum_scale_factor')::float8) * c.rows,
                nullif(coalesce(o.most, current_setting('autovacuum_vacuum_max_threshold', true)::float8, -1), -1)
            )::float8 AS threshold
        ) t
        ORDER BY c.dead / greatest(1, t.threshold) DESC
        LIMIT 1
    ) w
    WHERE greatest(m.dead, m.toast_dead) >= $1
    ORDER BY w.dead / greatest(1, w.threshold) DESC
    LIMIT 200
) worst
CROSS JOIN LATERAL (
    SELECT (worst.relpages + coalesce(sum(r.relpages) FILTER (WHERE r.oid <> worst.oid), 0))::int8
               * current_setting('block_size')::int8 AS estimate,
           -- All of it is opened: table, TOAST, and the indexes of both.
           CASE WHEN NOT bool_or(r.oid IN (SELECT relation FROM closed)) THEN pg_total_relation_size(worst.oid) END AS bytes
    FROM (
        SELECT worst.oid, worst.relpages
        UNION ALL
        SELECT t.oid, t.relpages FROM pg_class t WHERE t.oid = worst.reltoastrelid
        UNION ALL
        SELECT i.oid, i.relpages FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid
        WHERE x.indrelid IN (worst.oid, worst.reltoastrelid)
    ) r
) s
ORDER BY worst.dead / greatest(1, worst.threshold) DESC
