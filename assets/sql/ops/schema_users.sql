-- Whoever works in a schema or as its role: sessions, and transactions that were prepared.
-- Cost: milliseconds; a look at all locks. Privilege: pg_read_all_stats for the sessions.
-- $1: the schema, $2: its owner's role.
SELECT (SELECT count(*) FROM pg_stat_activity a
        -- A name alone makes nobody one of us. Who has no login is autovacuum, which goes by itself.
        WHERE a.usename IS NOT NULL AND a.pid <> pg_backend_pid()
          AND NOT (a.usename = session_user AND starts_with(a.application_name, 'tierdeck'))
          AND (a.usename = $2 OR a.pid IN (
              SELECT l.pid FROM pg_locks l JOIN pg_class c ON c.oid = l.relation JOIN pg_namespace n ON n.oid = c.relnamespace
              WHERE l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND n.nspname = $1))) AS sessions,
       (SELECT count(*) FROM pg_locks l JOIN pg_class c ON c.oid = l.relation JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE l.pid IS NULL AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
          AND n.nspname = $1) AS prepared
