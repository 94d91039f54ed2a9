-- Schemas, of which some are tenants'.
-- Cost: some ms for 10,000 of them. Privilege: none.
SELECT nspname::text AS name FROM pg_namespace WHERE nspname !~ '^pg_' ORDER BY nspname
