-- Whether a login may log in, who has it in hand, and how many sessions it has.
-- Cost: under 1 ms. Privilege: none.
-- $1: the login.
SELECT r.rolcanlogin AS can_login, r.rolsuper AS superuser,
       (SELECT count(*) FROM pg_stat_activity a WHERE a.usesysid = r.oid) AS sessions,
       -- From 16 on CREATEROLE alone does not do.
       CASE WHEN current_setting('server_version_num')::int >= 160000
            THEN own.rolcreaterole AND pg_has_role(r.oid, 'USAGE WITH ADMIN OPTION')
            ELSE own.rolcreaterole END AS may_alter,
       own.rolsuper OR pg_has_role(r.oid, 'USAGE') OR pg_has_role('pg_signal_backend', 'USAGE') AS may_signal
FROM pg_roles r CROSS JOIN (SELECT rolcreaterole, rolsuper FROM pg_roles WHERE rolname = session_user) own
WHERE r.rolname = $1
