-- Databases that can be connected to at all.
-- Cost: under 1 ms. Privilege: none.
SELECT datname::text AS name FROM pg_database WHERE datallowconn AND NOT datistemplate ORDER BY datname
