-- Of the names that a tenant's own logins would have, those that are somebody else's: the account of everybody, who watches, who
-- acts, and whoever has no part in what owns the schema (billing_app may be a tenant's, or the platform's own).
-- Cost: below a ms. Privilege: none.
-- $1: the schema; $2: the names; $3: the tenant's role, which is its own; $4: logins that are never a tenant's.
WITH home AS (SELECT oid, nspowner FROM pg_namespace WHERE nspname = $1),
own AS (SELECT relowner AS role FROM pg_class JOIN home ON relnamespace = home.oid UNION SELECT nspowner FROM home)
SELECT rolname::text FROM pg_roles r
WHERE rolname = ANY ($2::text[])
  AND (rolname = session_user OR rolname = ANY ($4::text[])
       OR rolname <> $3 AND NOT EXISTS (SELECT FROM own WHERE pg_has_role(r.oid, own.role, 'MEMBER')))
