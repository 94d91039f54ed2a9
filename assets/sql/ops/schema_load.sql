-- What an export and a drop of a schema would meet.
-- Cost: a look at the files of each of its tables. Privilege: pg_monitor for the sizes of what is not ours.
-- $1: the schema, $2: its owner's role.
SELECT n.oid,
       (SELECT coalesce(sum(pg_table_size(c.oid)) FILTER (WHERE c.relkind IN ('r', 'm')), 0)::int8
        FROM pg_class c WHERE c.relnamespace = n.oid) AS bytes,
       (SELECT count(*) FROM pg_class c WHERE c.relnamespace = n.oid AND c.relkind IN ('r', 'p')) AS tables,
       -- A TOAST table and its index for each.
       (SELECT count(*) + 2 * count(*) FILTER (WHERE c.reltoastrelid <> 0) FROM pg_class c WHERE c.relnamespace = n.oid) AS relations,
       current_setting('max_locks_per_transaction')::int8
       * (current_setting('max_connections')::int8 + current_setting('max_prepared_transactions')::int8) AS room_for_locks,
       (SELECT coalesce(array_agg(c.relname::text ORDER BY c.relname), '{}') FROM pg_class c
        WHERE c.relnamespace = n.oid AND c.relforcerowsecurity) AS forced,
       (SELECT coalesce(array_agg(c.relname::text ORDER BY c.relname), '{}') FROM pg_class c
        WHERE c.relnamespace = n.oid AND c.relkind IN ('r', 'p', 'm', 'S') AND NOT has_table_privilege(c.oid, 'SELECT')) AS unreadable,
       (SELECT coalesce(array_agg(DISTINCT c.relname::text), '{}') FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
        WHERE c.relnamespace = n.oid AND c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped
          AND format_type(a.atttypid, NULL) IN ('oid', 'lo')) AS with_oids,
       (SELECT coalesce(array_agg(p.gid ORDER BY p.gid), '{}') FROM pg_prepared_xacts p
        WHERE p.database = current_database()
          AND (p.owner = $2 OR EXISTS (SELECT 1 FROM pg_locks o JOIN pg_locks l USING (virtualtransaction) JOIN pg_class c ON c.oid = l.relation
                                       WHERE o.locktype = 'transactionid' AND o.transactionid = p.transaction AND o.granted
                                         AND o.mode = 'ExclusiveLock' AND o.pid IS NULL AND l.pid IS NULL
                                         AND c.relnamespace = n.oid))) AS prepared,
       (SELECT coalesce(array_agg(CASE WHEN d.dbid IN (0, b.oid) THEN pg_describe_object(d.classid, d.objid, d.objsubid)
                                       ELSE 'something in the database ' || o.datname END ORDER BY d.classid, d.objid), '{}')
        FROM pg_shdepend d JOIN pg_roles r ON r.oid = d.refobjid JOIN pg_database b ON b.datname = current_database()
        LEFT JOIN pg_database o ON o.oid = d.dbid
        WHERE d.refclassid = 'pg_authid'::regclass AND r.rolname = $2
          AND NOT (d.dbid = b.oid AND (
              (d.classid = 'pg_namespace'::regclass AND d.objid = n.oid)
              OR (d.classid = 'pg_class'::regclass AND EXISTS (SELECT 1 FROM pg_class x WHERE x.oid = d.objid AND x.relnamespace = n.oid))
              OR (d.classid = 'pg_proc'::regclass AND EXISTS (SELECT 1 FROM pg_proc x WHERE x.oid = d.objid AND x.pronamespace = n.oid))
              OR (d.classid = 'pg_type'::regclass AND EXISTS (SELECT 1 FROM pg_type x WHERE x.oid = d.objid AND x.typnamespace = n.oid))
              OR (d.classid = 'pg_statistic_ext'::regclass AND EXISTS (SELECT 1 FROM pg_statistic_ext x WHERE x.oid = d.objid AND x.stxnamespace = n.oid))
              OR (d.classid = 'pg_operator'::regclass AND EXISTS (SELECT 1 FROM pg_operator x WHERE x.oid = d.objid AND x.oprnamespace = n.oid))
              OR (d.classid = 'pg_opclass'::regclass AND EXISTS (SELECT 1 FROM pg_opclass x WHERE x.oid = d.objid AND x.opcnamespace = n.oid))
              OR (d.classid = 'pg_opfamily'::regclass AND EXISTS (SELECT 1 FROM pg_opfamily x WHERE x.oid = d.objid AND x.opfnamespace = n.oid))
              OR (d.classid = 'pg_collation'::regclass AND EXISTS (SELECT 1 FROM pg_collation x WHERE x.oid = d.objid AND x.collnamespace = n.oid))
              OR (d.classid = 'pg_conversion'::regclass AND EXISTS (SELECT 1 FROM pg_conversion x WHERE x.oid = d.objid AND x.connamespace = n.oid))
              OR (d.classid = 'pg_ts_config'::regclass AND EXISTS (SELECT 1 FROM pg_ts_config x WHERE x.oid = d.objid AND x.cfgnamespace = n.oid))
              OR (d.classid = 'pg_ts_dict'::regclass AND EXISTS (SELECT 1 FROM pg_ts_dict x WHERE x.oid = d.objid AND x.dictnamespace = n.oid))
              OR (d.classid = 'pg_default_acl'::regclass AND EXISTS (SELECT 1 FROM pg_default_acl x WHERE x.oid = d.objid AND x.defaclnamespace = n.oid))
              OR (d.classid = 'pg_policy'::regclass AND EXISTS (SELECT 1 FROM pg_policy x JOIN pg_class c ON c.oid = x.polrelid WHERE x.oid = d.objid AND c.relnamespace = n.oid))
          ))) AS elsewhere
FROM pg_namespace n WHERE n.nspname = $1
