-- What is set for a role in one database, or for everybody in one database (ALTER ROLE … IN DATABASE, ALTER DATABASE … SET).
-- Cost: under 1 ms. Privilege: none.
SELECT d.datname::text AS database, r.rolname::text AS role, s.setconfig AS settings
FROM pg_db_role_setting s
JOIN pg_database d ON d.oid = s.setdatabase
LEFT JOIN pg_roles r ON r.oid = s.setrole
