-- How many connections an ordinary login may still make, on the server and in this database.
-- Cost: under 1 ms. Privilege: pg_read_all_stats, else other databases' sessions are missing in the count.
SELECT least(current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
             - coalesce(current_setting('reserved_connections', true)::int, 0)
             - (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),
             CASE WHEN d.datconnlimit >= 0 THEN d.datconnlimit
             - (SELECT count(*) FROM pg_stat_activity a WHERE a.datid = d.oid AND a.backend_type = 'client backend') END)::int8 AS free
FROM pg_database d WHERE d.datname = current_database()
