-- Bytes of each database, as the file system says.
-- Cost: one stat() a file: seconds with thousands of tables, so it is asked rarely. Privilege: pg_read_all_stats.
SELECT datname::text AS home, pg_database_size(oid) AS bytes
FROM pg_database
WHERE datallowconn AND NOT datistemplate AND datname <> 'rdsadmin'
