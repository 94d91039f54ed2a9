-- Limits of logins as they are stored, what would go before them, and whether we may change them.
-- Cost: some ms for a thousand logins. Privilege: none.
-- Comes after may_alter.sql, which it begins with.
-- $1: their names; null: all of them.
SELECT r.rolname::text AS name, r.rolcanlogin AS can_login, r.rolsuper AS superuser, r.rolconnlimit AS connection_limit,
       coalesce((SELECT json_object_agg(split_part(s, '=', 1), substr(s, strpos(s, '=') + 1))
                 FROM pg_db_role_setting d, unnest(d.setconfig) s
                 WHERE d.setrole = r.oid AND d.setdatabase = 0
                   AND split_part(s, '=', 1) IN ('statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout')),
                '{}'::json)::text AS settings,
       (SELECT string_agg(quote_ident(b.datname) || ': ' || s, ', ')
        FROM pg_db_role_setting d JOIN pg_database b ON b.oid = d.setdatabase, unnest(d.setconfig) s
        WHERE d.setrole = r.oid
          AND split_part(s, '=', 1) IN ('statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout')) AS in_databases,
       EXISTS (SELECT FROM alterable a WHERE a.oid = r.oid) AS may_alter
FROM pg_roles r
WHERE r.rolname !~ '^pg_' AND ($1::text[] IS NULL OR r.rolname = ANY ($1::text[]))
ORDER BY r.rolname COLLATE "C"
