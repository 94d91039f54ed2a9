-- Whether a tenant could live here: its schema in this database, or a database of its own.
-- Cost: under 1 ms. Privilege: none.
-- $1: its schema, $2: its database.
SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1) AS schema_there,
       EXISTS (SELECT FROM pg_database WHERE datname = $2) AS database_there
