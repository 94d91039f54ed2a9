-- Sequences that used up at least a third of what they can give, the worst first; and how many there are of which nobody
-- tells us. A sequence ends at its own bound or at that of the narrowest column that it feeds, whichever comes first: a bigint
-- sequence behind an integer column ends at 2,147,483,647. Those that go round never end, and those that have 10^15 values or
-- more will not see it: neither is read.
-- Cost: 70 ms with 3,000 sequences, most of it for reading last values; relations are opened for that,
-- so those that somebody holds or awaits a conflicting lock on are left for the next time.
-- Privilege: SELECT on the sequence (pg_read_all_data, 14 and later; pg_monitor does not help, and pg_statio_all_sequences
-- counts blocks only). Without it the rows that were inserted into its table, or are in it, say how far it is at least:
-- enough for an alarm, marked as an estimate, and never enough to call a sequence fine, so the others count as hidden.
WITH fed AS MATERIALIZED (
    SELECT DISTINCT ON (f.sequence) f.sequence, f.relation, a.attname,
           CASE a.atttypid WHEN 'int2'::regtype THEN 32767 WHEN 'int4'::regtype THEN 2147483647 END::int8 AS most,
           format_type(a.atttypid, NULL) AS type
    FROM (
        SELECT q.seqrelid AS sequence, d.refobjid AS relation, d.refobjsubid AS attnum
        FROM pg_sequence q
        JOIN pg_depend d ON d.objid = q.seqrelid AND d.classid = 'pg_class'::regclass
        WHERE d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i') AND d.refobjsubid > 0
        UNION
        SELECT q.seqrelid, f.adrelid, f.adnum
        FROM pg_sequence q
        JOIN pg_depend d ON d.refobjid = q.seqrelid AND d.refclassid = 'pg_class'::regclass
        JOIN pg_attrdef f ON f.oid = d.objid
        WHERE d.classid = 'pg_attrdef'::regclass
    ) f
    JOIN pg_attribute a ON a.attrelid = f.relation AND a.attnum = f.attnum AND NOT a.attisdropped
    ORDER BY f.sequence, most NULLS LAST, f.relation, f.attnum
), bounded AS MATERIALIZED (
    SELECT q.seqrelid AS oid, c.relname, c.relnamespace, f.relation, f.attname, q.seqincrement AS step,
           CASE WHEN q.seqincrement > 0 THEN q.seqmin ELSE q.seqmax END AS first,
           CASE WHEN q.seqincrement > 0 THEN least(q.seqmax, f.most) ELSE greatest(q.seqmin, -f.most - 1) END AS "end",
           CASE WHEN f.most < q.seqmax AND q.seqincrement > 0 OR -f.most - 1 > q.seqmin AND q.seqincrement < 0
                THEN f.type ELSE format_type(q.seqtypid, NULL) END AS bound_by,
           has_sequence_privilege(q.seqrelid, 'USAGE, SELECT')
               AND (c.relpersistence = 'p' OR NOT pg_is_in_recovery()) AS readable
    FROM pg_sequence q
    JOIN pg_class c ON c.oid = q.seqrelid AND c.relpersistence <> 't'
    LEFT JOIN fed f ON f.sequence = q.seqrelid
    WHERE NOT q.seqcycle
), held AS MATERIALIZED (
    SELECT DISTINCT relation FROM pg_locks
    WHERE locktype = 'relation' AND mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
), known AS MATERIALIZED (
    SELECT b.*,
           CASE WHEN b.readable AND b.oid NOT IN (SELECT relation FROM held)
                THEN coalesce(pg_sequence_last_value(b.oid), b.first) END AS last,
           CASE WHEN NOT b.readable THEN (
                SELECT least(b.first::float8 + b.step * greatest(t.reltuples, pg_stat_get_tuples_inserted(t.oid), 0), 9e18)::int8
                FROM pg_class t WHERE t.oid = b.relation) END AS guess
    FROM bounded b
    WHERE abs(b."end"::float8 - b.first) / abs(b.step) < 1e15
), judged AS MATERIALIZED (
    SELECT *, (coalesce(last, guess)::float8 - first) / nullif("end"::float8 - first, 0) AS used FROM known
)
SELECT h.hidden, current_database()::text AS database, n.nspname::text AS schema, j.relname::text AS name,
       (SELECT concat(t.relname, '.', j.attname) FROM pg_class t WHERE t.oid = j.relation) AS "column",
       coalesce(j.last, j.guess) AS last, j.last IS NULL AS estimated, j."end", j.first AS start, j.bound_by
FROM (SELECT count(*)::int4 AS hidden FROM judged WHERE NOT readable AND coalesce(used, 0) < 0.3333) h
LEFT JOIN (SELECT * FROM judged WHERE coalesce(used, 0) >= 0.3333 ORDER BY used DESC LIMIT 200) j ON true
LEFT JOIN pg_namespace n ON n.oid = j.relnamespace
ORDER BY j.used DESC
