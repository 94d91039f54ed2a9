-- What lies outside of a schema and depends on something in it: DROP … CASCADE would take it along.
-- Cost: milliseconds; by the indexes of pg_depend. Privilege: none.
-- $1: the schema.
WITH s AS (SELECT oid FROM pg_namespace WHERE nspname = $1),
inside(class, id) AS (
    SELECT 'pg_namespace'::regclass::oid, oid FROM s
    UNION ALL SELECT 'pg_class'::regclass, c.oid FROM pg_class c, s WHERE c.relnamespace = s.oid
    UNION ALL SELECT 'pg_proc'::regclass, p.oid FROM pg_proc p, s WHERE p.pronamespace = s.oid
    UNION ALL SELECT 'pg_type'::regclass, t.oid FROM pg_type t, s WHERE t.typnamespace = s.oid
    UNION ALL SELECT 'pg_constraint'::regclass, c.oid FROM pg_constraint c, s WHERE c.connamespace = s.oid
    UNION ALL SELECT 'pg_operator'::regclass, o.oid FROM pg_operator o, s WHERE o.oprnamespace = s.oid
    UNION ALL SELECT 'pg_opclass'::regclass, o.oid FROM pg_opclass o, s WHERE o.opcnamespace = s.oid
    UNION ALL SELECT 'pg_opfamily'::regclass, o.oid FROM pg_opfamily o, s WHERE o.opfnamespace = s.oid
    UNION ALL SELECT 'pg_collation'::regclass, c.oid FROM pg_collation c, s WHERE c.collnamespace = s.oid
    UNION ALL SELECT 'pg_conversion'::regclass, c.oid FROM pg_conversion c, s WHERE c.connamespace = s.oid
    UNION ALL SELECT 'pg_ts_config'::regclass, t.oid FROM pg_ts_config t, s WHERE t.cfgnamespace = s.oid
    UNION ALL SELECT 'pg_ts_dict'::regclass, t.oid FROM pg_ts_dict t, s WHERE t.dictnamespace = s.oid
    UNION ALL SELECT 'pg_statistic_ext'::regclass, e.oid FROM pg_statistic_ext e, s WHERE e.stxnamespace = s.oid
    UNION ALL SELECT 'pg_default_acl'::regclass, a.oid FROM pg_default_acl a, s WHERE a.defaclnamespace = s.oid
    UNION ALL SELECT 'pg_rewrite'::regclass, r.oid FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class, s WHERE c.relnamespace = s.oid
    UNION ALL SELECT 'pg_trigger'::regclass, t.oid FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid, s WHERE c.relnamespace = s.oid
    UNION ALL SELECT 'pg_attrdef'::regclass, a.oid FROM pg_attrdef a JOIN pg_class c ON c.oid = a.adrelid, s WHERE c.relnamespace = s.oid
    UNION ALL SELECT 'pg_policy'::regclass, p.oid FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid, s WHERE c.relnamespace = s.oid
)
-- What is internal ('i') belongs to something else that is judged by itself: a TOAST table, the trigger of a foreign key.
SELECT DISTINCT pg_describe_object(d.classid, d.objid, d.objsubid) AS object
FROM pg_depend d JOIN inside i ON d.refclassid = i.class AND d.refobjid = i.id
WHERE d.deptype <> 'i' AND NOT EXISTS (SELECT 1 FROM inside o WHERE o.class = d.classid AND o.id = d.objid)
ORDER BY 1
