-- Space that tables and B-tree indexes take without need, estimated from the planner's statistics: the pages that the rows would
-- take, packed as tightly as the fillfactor allows, against the pages that there are. The well-known formula: a page has a
-- header of 24 bytes; a row has a pointer of 4 to it, a header of 23 and, where anything is NULL, a bit for each column, and
-- header and data each fill up to the alignment; four TOAST rows make a page. An index page has 16 bytes more of its own, an
-- entry a header of 8 (and 4 for NULLs). Up to a tenth is padding; an index that merges duplicates looks tighter than it is.
-- Only what has at least $1 pages as of its last vacuum or analyze; the $2 most wasteful of the
-- $3 largest.
-- No relation is opened, so that nobody's lock is waited for. Cost: 15 ms with 27,000 relations of which few
-- are large, 400 ms where 5,000 are.
-- Privilege: SELECT on the columns, as pg_stats wants it (pg_read_all_data; pg_monitor does not help), or that function
-- (column_widths.sql): without it, or without statistics, a table is counted as hidden, never guessed at.
WITH sized AS MATERIALIZED (
    SELECT c.oid, c.relname, c.relnamespace, c.relkind, c.reltuples, c.relpages, c.reltoastrelid,
           coalesce((SELECT option_value::float8 FROM pg_options_to_table(c.reloptions) WHERE option_name = 'fillfactor'),
                    CASE c.relkind WHEN 'i' THEN 90 ELSE 100 END) AS fill
    FROM pg_class c
    WHERE c.relkind IN ('r', 'm', 'i') AND c.relpages >= $1 AND c.relpersistence <> 't' AND c.oid >= 16384
      AND (c.relkind <> 'i' OR c.relam = (SELECT oid FROM pg_am WHERE amname = 'btree'))
    ORDER BY c.relpages DESC
    LIMIT $3
), parts AS MATERIALIZED (
    -- What each is made of: the columns of a table, the keys of an index. What an expression gives has statistics under the
    -- index's own name.
    SELECT s.oid, s.oid AS relation, a.attnum
    FROM sized s
    JOIN pg_attribute a ON a.attrelid = s.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated <> 'v'
    WHERE s.relkind <> 'i'
    UNION ALL
    SELECT s.oid, CASE k.attnum WHEN 0 THEN s.oid ELSE x.indrelid END, CASE k.attnum WHEN 0 THEN k.place ELSE k.attnum END
    FROM sized s
    JOIN pg_index x ON x.indexrelid = s.oid AND x.indisvalid
    CROSS JOIN LATERAL unnest(x.indkey::int2[]) WITH ORDINALITY k (attnum, place)
    WHERE s.relkind = 'i'
), named AS MATERIALIZED (
    SELECT DISTINCT c.oid, c.relname, n.nspname
    FROM parts p
    JOIN pg_class c ON c.oid = p.relation
    JOIN pg_namespace n ON n.oid = c.relnamespace
), seen AS MATERIALIZED (
    -- Names as arrays, because that is what gets through the view to an index: tenants have tables of the same names, and a
    -- look at the view for each table would go through all of those, each time. What stands here is the view with its
    -- conditions, or a function that shows this part of it to who may not read it.
    SELECT schemaname, tablename, attname, null_frac, avg_width
    FROM {statistics}
), widths AS MATERIALIZED (
    SELECT n.oid, a.attnum, p.null_frac, p.avg_width
    FROM seen p
    JOIN named n ON n.nspname = p.schemaname AND n.relname = p.tablename
    JOIN pg_attribute a ON a.attrelid = n.oid AND a.attname = p.attname
), made AS MATERIALIZED (
    SELECT m.oid, bool_and(w.avg_width IS NOT NULL) AS known, count(*) AS columns, max(w.null_frac) > 0 AS nulls,
           ceil(sum((1 - w.null_frac) * w.avg_width) / 8) * 8 AS width
    FROM parts m
    LEFT JOIN widths w ON w.oid = m.relation AND w.attnum = m.attnum
    GROUP BY m.oid
), judged AS MATERIALIZED (
    SELECT s.oid, s.relkind, s.relname, s.relnamespace, s.relpages + coalesce(t.relpages, 0) AS pages,
           CASE
               WHEN s.reltuples < 0 OR NOT m.known THEN NULL
               WHEN s.relkind = 'i' THEN 1 + ceil(s.reltuples / greatest(1, floor(
                   (b.size - 24 - 16) * s.fill / 100 / (4 + CASE WHEN m.nulls THEN 16 ELSE 8 END + m.width))))
               ELSE ceil(s.reltuples / greatest(1, floor(
                   (b.size - 24) * s.fill / 100
                       / (4 + ceil((23 + CASE WHEN m.nulls THEN (7 + m.columns) / 8 ELSE 0 END) / 8.0) * 8 + m.width))))
                   + ceil(greatest(coalesce(t.reltuples, 0), 0) / 4)
           END AS needed
    FROM sized s
    CROSS JOIN (SELECT current_setting('block_size')::float8 AS size) b
    LEFT JOIN made m ON m.oid = s.oid
    LEFT JOIN pg_class t ON t.oid = s.reltoastrelid
)
SELECT h.judged, h.hidden, current_database()::text AS database, n.nspname::text AS schema,
       coalesce(t.relname, w.relname)::text AS "table", CASE w.relkind WHEN 'i' THEN w.relname::text END AS index,
       w.pages::int8 * current_setting('block_size')::int8 AS bytes,
       (w.pages - w.needed)::int8 * current_setting('block_size')::int8 AS wasted
FROM (SELECT count(needed)::int4 AS judged, (count(*) - count(needed))::int4 AS hidden FROM judged WHERE relkind <> 'i') h
LEFT JOIN (SELECT * FROM judged WHERE needed < pages ORDER BY pages - needed DESC LIMIT $2) w ON true
LEFT JOIN pg_namespace n ON n.oid = w.relnamespace
LEFT JOIN pg_index x ON x.indexrelid = w.oid
LEFT JOIN pg_class t ON t.oid = x.indrelid
ORDER BY wasted DESC
