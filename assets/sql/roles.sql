-- Roles with their connection limits and settings.
-- Cost: 1 ms with 300 roles. Privilege: none.
SELECT rolname::text AS name, rolcanlogin AS can_login, rolconnlimit AS connection_limit, rolsuper AS superuser,
       rolconfig AS settings
FROM pg_roles
WHERE rolname !~ '^pg_' AND rolname <> 'rdsadmin'
