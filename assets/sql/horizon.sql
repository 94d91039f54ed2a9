-- Who holds vacuum back: sessions with a snapshot or a transaction id, slots, standbys that feed back, prepared
-- transactions; the oldest 20 of each. Left out: ourselves, and vacuums, which hold nobody back.
-- Cost: 2 ms with 100 sessions. Privilege: pg_read_all_stats (in pg_monitor) for other people's sessions and standbys.
WITH sessions AS (
    SELECT CASE a.backend_type WHEN 'walsender' THEN 'standby' ELSE 'session' END AS kind,
           CASE a.backend_type WHEN 'walsender' THEN a.application_name ELSE a.pid::text END AS name,
           a.pid, a.backend_start AS session_started, a.usesysid AS role, nullif(a.datid, 0) AS database,
           greatest(age(a.backend_xid), age(a.backend_xmin)) AS xid_age,
           CASE WHEN a.backend_type <> 'walsender' THEN a.xact_start END AS since
    FROM pg_stat_get_activity(NULL) a
    WHERE a.pid <> pg_backend_pid() AND a.leader_pid IS NULL AND a.backend_type <> 'autovacuum worker'
      AND (a.backend_xid IS NOT NULL OR a.backend_xmin IS NOT NULL)
      AND NOT EXISTS (SELECT FROM pg_stat_get_progress_info('VACUUM') v WHERE v.pid = a.pid)
), holders AS (
    SELECT *, row_number() OVER (PARTITION BY kind ORDER BY xid_age DESC) AS place
    FROM (
        SELECT * FROM sessions
        UNION ALL
        -- What a logical slot decodes with are catalogues: of other tables it keeps nothing.
        SELECT k.kind, slot_name::text, active_pid, NULL, NULL, NULL, age(k.xid), NULL
        FROM pg_replication_slots CROSS JOIN LATERAL (VALUES ('slot', xmin), ('catalog', catalog_xmin)) k (kind, xid)
        WHERE k.xid IS NOT NULL
        UNION ALL
        SELECT 'prepared', x.gid, NULL, NULL, x.ownerid, x.dbid, age(x.transaction), x.prepared
        FROM pg_prepared_xact() x
    ) h
)
SELECT h.kind, h.name, h.pid, h.session_started, pg_get_userbyid(h.role)::text AS role,
       (SELECT datname::text FROM pg_database WHERE oid = h.database) AS database, h.xid_age, h.since,
       s.sees_all, clock_timestamp() AS now
FROM (SELECT pg_has_role(session_user, 'pg_read_all_stats', 'USAGE') AS sees_all) s
LEFT JOIN holders h ON h.place <= 20
ORDER BY h.xid_age DESC NULLS LAST
