-- Functions of tenants that would run, as our login, when a statement is only planned: the planner computes immutable
-- functions of constants, tries stable ones to guess how many rows there are, and puts SQL functions into the statement.
-- Either one that the statement itself names, or one that hides behind a view, a default, a policy, an index, an operator,
-- a cast or a domain. Functions of superusers and in C are the server's own. Triggers never run at planning.
-- Cost: 1 to 5 ms with thousands of functions. Privilege: none.
-- $1: every name in the statement. No row: planning runs nothing of theirs.
WITH code AS MATERIALIZED (
    SELECT p.oid, p.proname::text AS name
    FROM pg_proc p
    JOIN pg_language l ON l.oid = p.prolang
    JOIN pg_roles r ON r.oid = p.proowner
    WHERE p.oid >= 16384 AND p.prokind = 'f' AND NOT r.rolsuper
      AND l.lanname NOT IN ('c', 'internal') AND (p.provolatile <> 'v' OR l.lanname = 'sql')
      AND p.prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype)
)
(SELECT code.oid::regprocedure::text AS code, NULL::text AS behind FROM code WHERE code.name = ANY ($1) LIMIT 1)
UNION ALL
(SELECT code.oid::regprocedure::text, pg_describe_object(d.classid, d.objid, d.objsubid)
 FROM code
 JOIN pg_depend d ON d.refclassid = 'pg_proc'::regclass AND d.refobjid = code.oid
 WHERE d.classid NOT IN ('pg_proc'::regclass, 'pg_trigger'::regclass, 'pg_event_trigger'::regclass)
 LIMIT 1)
LIMIT 1
