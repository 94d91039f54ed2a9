-- Lets {login} know how wide columns are and how often they are empty, which the estimate of bloat needs, and nothing of what
-- is in them: narrower than pg_read_all_data. Run it in {database}, as a superuser or RDS's master user.
CREATE ROLE tierdeck_statistics NOLOGIN;
GRANT pg_read_all_data TO tierdeck_statistics;
GRANT tierdeck_statistics TO CURRENT_USER;
CREATE SCHEMA tierdeck_statistics AUTHORIZATION tierdeck_statistics;
SET ROLE tierdeck_statistics;
CREATE FUNCTION tierdeck_statistics.column_widths(schemas name[], tables name[])
    RETURNS TABLE (schemaname name, tablename name, attname name, null_frac real, avg_width integer)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'SELECT s.schemaname, s.tablename, s.attname, s.null_frac, s.avg_width FROM pg_catalog.pg_stats s
        WHERE s.schemaname = ANY ($1) AND s.tablename = ANY ($2) AND NOT s.inherited';
REVOKE ALL ON FUNCTION tierdeck_statistics.column_widths(name[], name[]) FROM PUBLIC;
GRANT USAGE ON SCHEMA tierdeck_statistics TO {login};
GRANT EXECUTE ON FUNCTION tierdeck_statistics.column_widths(name[], name[]) TO {login};
RESET ROLE;
REVOKE tierdeck_statistics FROM CURRENT_USER;
