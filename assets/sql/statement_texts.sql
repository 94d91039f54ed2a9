-- Texts of some statements.
-- Cost: 20 to 40 ms with 5,000 entries, however few are asked for: the whole file of texts is read. Asked once a minute at
-- most, and only when a statement that matters has no text yet.
-- Privilege: pg_read_all_stats. $1: their queryids. {schema}: where the extension is.
SELECT s.userid, s.dbid, s.queryid, left(s.query, 1000) AS text
FROM {schema}.pg_stat_statements(true) s
WHERE s.toplevel AND s.queryid = ANY ($1)
