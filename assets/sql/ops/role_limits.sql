-- The limits of one login, as they are stored: what an undo has to bring back exactly.
-- Cost: under 1 ms. Privilege: none.
-- Comes after may_alter.sql, which it begins with.
-- $1: the login.
SELECT r.rolcanlogin AS can_login, r.rolsuper AS superuser, r.rolconnlimit AS connection_limit,
       (SELECT split_part(s, '=', 2) FROM pg_db_role_setting d, unnest(d.setconfig) s
        WHERE d.setrole = r.oid AND d.setdatabase = 0 AND s LIKE 'statement_timeout=%') AS statement_timeout,
       (SELECT string_agg(quote_ident(b.datname), ', ') FROM pg_db_role_setting d JOIN pg_database b ON b.oid = d.setdatabase,
               unnest(d.setconfig) s
        WHERE d.setrole = r.oid AND s LIKE 'statement_timeout=%') AS in_databases,
       (SELECT count(*) FROM pg_stat_activity a WHERE a.usesysid = r.oid) AS sessions,
       EXISTS (SELECT FROM alterable a WHERE a.oid = r.oid) AS may_alter
FROM pg_roles r WHERE r.rolname = $1
