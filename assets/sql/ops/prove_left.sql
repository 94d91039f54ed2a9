-- A temporary login and its sessions: whether it is there with whose mark, whether it may log in, what it has, what runs under it.
-- Cost: under 1 ms. Privilege: pg_read_all_stats, else its sessions are not seen.
-- $1: the login; $2: what its sessions call themselves.
SELECT r.oid IS NOT NULL AS there, coalesce(shobj_description(r.oid, 'pg_authid'), '') AS mark,
       coalesce(r.rolcanlogin, false) AS may_enter, coalesce(r.rolconnlimit, -1) AS connection_limit,
       coalesce((SELECT array_agg(c ORDER BY c) FROM pg_db_role_setting d, unnest(d.setconfig) c WHERE d.setrole = r.oid), '{}') AS settings,
       coalesce((SELECT array_agg(pg_get_userbyid(m.roleid)::text ORDER BY 1) FROM pg_auth_members m WHERE m.member = r.oid), '{}') AS member_of,
       -- Whose role was dropped under them have no name any more.
       (SELECT count(*) FROM pg_stat_activity a WHERE a.usename = $1 OR a.usename IS NULL AND a.application_name = $2) AS sessions,
       (SELECT coalesce(max(extract(epoch FROM clock_timestamp() - a.state_change)), 0)::float8 FROM pg_stat_activity a
        WHERE a.usename = $1 AND (a.state = 'active' OR a.state = 'idle in transaction')) AS busy_for
FROM (SELECT 1) one LEFT JOIN pg_roles r ON r.rolname = $1
