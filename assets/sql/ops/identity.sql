-- Which server and database this is, however it is reached: what a plan is pinned to.
-- Cost: under 1 ms. Privilege: none.
SELECT (SELECT system_identifier FROM pg_control_system())::text AS system_identifier,
       current_database()::text AS database,
       session_user::text AS login,
       split_part(current_setting('server_version'), ' ', 1) AS server_version,
       pg_is_in_recovery() AS in_recovery
