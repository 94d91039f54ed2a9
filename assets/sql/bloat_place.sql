-- Whether the widths of columns are to be had from the function that `tierdeck doctor` offers (column_widths.sql). It is only
-- called where it runs with its owner's rights, the owner is nobody's tenant (who may read everything already), and nobody else
-- can put another in its place. Who may read pg_stats itself needs none.
-- Cost: under 1 ms. Privilege: none.
SELECT EXISTS (
    SELECT
    FROM pg_proc p
    JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE n.nspname = 'tierdeck_statistics' AND p.proname = 'column_widths' AND p.proargtypes::text = '1003 1003'
      AND p.prosecdef AND n.nspowner = p.proowner AND pg_has_role(p.proowner, 'pg_read_all_data', 'USAGE')
      AND has_schema_privilege(n.oid, 'USAGE') AND has_function_privilege(p.oid, 'EXECUTE')
) AND NOT pg_has_role(session_user, 'pg_read_all_data', 'USAGE') AS by_function
