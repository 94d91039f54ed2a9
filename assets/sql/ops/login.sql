-- Whether a login may log in, who has it in hand, and how many sessions it has.
-- Cost: under 1 ms. Privilege: none.
-- Comes after may_alter.sql, which it begins with.
-- $1: the login.
SELECT r.rolcanlogin AS can_login, r.rolsuper AS superuser,
       (SELECT count(*) FROM pg_stat_activity a WHERE a.usesysid = r.oid) AS sessions,
       EXISTS (SELECT FROM alterable a WHERE a.oid = r.oid) AS may_alter,
       own.rolsuper OR pg_has_role(r.oid, 'USAGE') OR pg_has_role('pg_signal_backend', 'USAGE') AS may_signal
FROM pg_roles r CROSS JOIN (SELECT rolsuper FROM pg_roles WHERE rolname = session_user) own
WHERE r.rolname = $1
