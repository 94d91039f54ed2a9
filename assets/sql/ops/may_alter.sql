-- The roles that our login may alter and drop: the beginning of each query that has to know it, so that all of them say the same.
-- Up to 15 CREATEROLE does; from 16 on it does only together with ADMIN OPTION, and that does nothing without CREATEROLE.
WITH alterable AS (
  SELECT theirs.oid FROM pg_roles theirs, pg_roles ours
  WHERE ours.rolname = session_user
    AND (ours.rolsuper OR ours.rolcreaterole AND NOT theirs.rolsuper
         AND (current_setting('server_version_num')::int < 160000 OR pg_has_role(theirs.oid, 'USAGE WITH ADMIN OPTION'))))
